"""What reads cost upstream, in calls."""

from peoplegraph.sandbox.seed import human, reference
from tests.conftest import MakeGateway
from tests.gateway import Gateway

LIST = "DISPUTES GET /tenants/sandbox-tenant/assignees"
DEPARTMENTS = "DISPUTES GET /tenants/sandbox-tenant/departments"


def get(ref: str) -> str:
    """Return the call that reads a representative."""
    return f"COLLECTIONS GET /representatives/{ref}"


def by_email(number: int) -> str:
    """Return the call that looks the assignee up who is the human `number`."""
    return f"{LIST}/by-email/{human(number)[2].replace('@', '%40')}"


async def test_one_query_crosses_all_three_systems(gateway: Gateway) -> None:
    """A representative, its supervisor, its assignee with department, and a rep's counterpart: five calls."""
    data = await gateway.data(
        """{
          representative(reference: "REP-021") {
            displayName
            supervisor { displayName }
            assignee { displayName department { code } }
          }
          rep(by: { repId: 1011 }) { displayName counterparts { system displayName } }
        }"""
    )
    name = " ".join(human(21)[:2])
    assert data == {
        "representative": {
            "displayName": name,
            "supervisor": {"displayName": " ".join(human(4)[:2])},
            "assignee": {"displayName": name, "department": {"code": "TAX"}},
        },
        "rep": {"displayName": name, "counterparts": [{"system": "DISPUTES", "displayName": name}]},
    }
    assert gateway.calls == [
        get("REP-004"),
        get("REP-021"),
        by_email(21),
        DEPARTMENTS,
        "RPM POST /Rep",
    ]


async def test_twenty_representatives_with_supervisor_and_assignee(gateway: Gateway) -> None:
    """20 representatives, their supervisors and assignees: one GET a distinct reference, one list call."""
    references = [reference(n) for n in range(2, 22)]
    data = await gateway.data(
        """query ($references: [String!]!) {
          representatives(references: $references) {
            reference supervisor { reference } assignee { email }
          }
        }""",
        references=references,
    )
    assert [r["reference"] for r in data["representatives"]] == references
    assert [r["supervisor"]["reference"] for r in data["representatives"]] == [
        reference((n - 2) // 6 + 1) for n in range(2, 22)
    ]
    assert [r["assignee"]["email"] for r in data["representatives"]] == [human(n)[2] for n in range(2, 22)]
    assert gateway.calls == sorted([*(get(reference(n)) for n in range(1, 22)), LIST])


async def test_three_emails_are_three_calls_and_four_are_one(gateway: Gateway) -> None:
    """Below the break-even look-ups by email are single calls, from it on one list call."""
    query = "query ($r: [String!]!) { representatives(references: $r) { assignee { assigneeId } } }"
    await gateway.data(query, r=[reference(n) for n in (21, 22, 23)])
    assert [c for c in gateway.calls if "assignees" in c] == sorted(by_email(n) for n in (21, 22, 23))
    await gateway.data(query, r=[reference(n) for n in (21, 22, 23, 24)])
    assert [c for c in gateway.calls if "assignees" in c] == [LIST]


async def test_lookups_are_counted_through_the_levels(gateway: Gateway) -> None:
    """Three single look-ups, and then one list call for all that come after them."""
    query = """query ($r: [String!]!) {
      representatives(references: $r) { assignee { email } supervisor { assignee { email } } }
    }"""
    await gateway.data(query, r=[reference(n) for n in (21, 31, 51)])
    lookups = [c for c in gateway.calls if "assignees" in c]
    assert lookups == [LIST, *sorted(by_email(n) for n in (21, 31, 51))]


async def test_lookups_by_id_and_by_email_share_one_list_call(gateway: Gateway) -> None:
    """Two ids and two addresses asked for at once are four look-ups, and so one list call."""
    data = await gateway.data(
        """query ($a: String!, $b: String!) {
          one: assignee(by: { assigneeId: "asg-0001" }) { assigneeId }
          two: assignee(by: { assigneeId: "asg-0002" }) { assigneeId }
          three: assignee(by: { email: $a }) { assigneeId }
          four: assignee(by: { email: $b }) { assigneeId }
        }""",
        a=human(3)[2].upper(),
        b="nobody@northwind.example",
    )
    assert data == {
        "one": {"assigneeId": "asg-0001"},
        "two": {"assigneeId": "asg-0002"},
        "three": {"assigneeId": "asg-0003"},
        "four": None,
    }
    assert gateway.calls == [LIST]


async def test_a_list_that_is_asked_for_anyway_answers_the_lookups(gateway: Gateway) -> None:
    """`assignees` beside a single look-up is one call: the list in hand answers both."""
    data = await gateway.data(
        """{ assignees(first: 1) { totalCount } assignee(by: { assigneeId: "asg-0007" }) { assigneeId } }"""
    )
    assert data == {"assignees": {"totalCount": 250}, "assignee": {"assigneeId": "asg-0007"}}
    assert gateway.calls == [LIST]


async def test_a_list_that_will_be_needed_answers_the_lookup_before_it(gateway: Gateway) -> None:
    """Where the document selects assignees of departments further down, a single look-up takes the list at once."""
    query = """query ($r: String!) { representative(reference: $r) { assignee { ...Deep } } }
      fragment Deep on Assignee { department { ... on Department { defaultAssignee { isDefault } } } }"""
    data = await gateway.data(query, r="REP-021")
    assert data["representative"]["assignee"]["department"]["defaultAssignee"] == {"isDefault": True}
    assert gateway.calls == [get("REP-021"), LIST, DEPARTMENTS]


async def test_everything_about_departments_is_two_lists(gateway: Gateway) -> None:
    """All departments, their assignees and defaults, one department and all assignees: two calls."""
    data = await gateway.data(
        """{
          departments { code assignees(first: 1) { totalCount } defaultAssignee { isDefault } }
          department(departmentId: "dep-02") { description assignees { totalCount } }
          assignees(active: false) { totalCount }
          mine: assignees(departmentId: "dep-03") { totalCount }
        }"""
    )
    counts = [d["assignees"]["totalCount"] for d in data["departments"]]
    assert sum(counts) == 250
    assert [d["defaultAssignee"] for d in data["departments"]] == [{"isDefault": True}] * 7 + [None]
    assert data["department"] == {"description": "Credit", "assignees": {"totalCount": counts[1]}}
    assert data["assignees"] == {"totalCount": 22}
    assert data["mine"] == {"totalCount": counts[2]}
    assert gateway.calls == [LIST, DEPARTMENTS]


async def test_one_department_alone_uses_the_vendors_filter(gateway: Gateway) -> None:
    """Where nothing else reads assignees, the list call asks for the one department only."""
    data = await gateway.data('{ assignees(departmentId: "dep-03") { nodes { departmentId } totalCount } }')
    assert {a["departmentId"] for a in data["assignees"]["nodes"]} == {"dep-03"}
    assert data["assignees"]["totalCount"] == len(data["assignees"]["nodes"])
    assert gateway.calls == [f"{LIST}?DepartmentId=dep-03"]


async def test_the_same_record_by_every_route_is_one_call(gateway: Gateway) -> None:
    """A representative by its reference twice, by its id and as a supervisor: one GET for it."""
    query = '{ representative(reference: "REP-001") { id } }'
    global_id = (await gateway.data(query))["representative"]["id"]
    data = await gateway.data(
        """query ($id: ID!) {
          representative(reference: "REP-001") { reference }
          again: representative(reference: "REP-001") { reference }
          representatives(references: ["REP-001", "REP-002"]) { reference supervisor { reference } }
          node(id: $id) { __typename id ... on Representative { reference } }
          nodes(ids: [$id]) { id }
        }""",
        id=global_id,
    )
    assert data["node"] == {"__typename": "Representative", "id": global_id, "reference": "REP-001"}
    assert data["nodes"] == [{"id": global_id}]
    assert data["representatives"][1]["supervisor"] == {"reference": "REP-001"}
    assert gateway.calls == [get("REP-001"), get("REP-002")]


async def test_references_and_typename_cost_no_call(gateway: Gateway) -> None:
    """What the record itself says of others is there without a further call."""
    await gateway.data('{ representative(reference: "REP-021") { __typename supervisorReference } }')
    assert gateway.calls == [get("REP-021")]
    await gateway.data('{ assignee(by: { assigneeId: "asg-0001" }) { __typename departmentId } }')
    assert gateway.calls == [f"{LIST}/asg-0001"]


async def test_reps_by_what_the_list_of_users_has_are_one_call(gateway: Gateway) -> None:
    """Of many reps, fields that AgentUsers has cost that one call; any other field costs a Rep for each."""
    brief = "query ($ids: [Int!]!) { reps(repIds: $ids) { ...Brief } } fragment Brief on Rep "
    ids = [1000 + n for n in range(1, 51)]
    fields = (
        "{ __typename id repId displayName username userId managerId enabled agency { agencyId name archived } }"
    )
    listed = (await gateway.data(brief + fields, ids=ids))["reps"]
    assert gateway.calls == ["RPM POST /AgentUsers"]
    single = (await gateway.data(brief + fields.replace("{ _", "{ title _", 1), ids=ids))["reps"]
    assert gateway.calls == ["RPM POST /Rep"] * 50
    assert listed == [{k: v for k, v in rep.items() if k != "title"} for rep in single]


async def test_nodes_are_seen_through_for_what_reps_need(gateway: Gateway) -> None:
    """By global ids, too, AgentUsers answers if only its fields are selected on reps."""
    ids = [r["id"] for r in (await gateway.data("{ reps(repIds: [1001, 1002, 1003]) { id } }"))["reps"]]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Person { %s } ... on Assignee { email } } }"
    await gateway.data(query % "displayName", ids=ids)
    assert gateway.calls == ["RPM POST /AgentUsers"]
    await gateway.data(query % "displayName title", ids=ids)
    assert gateway.calls == ["RPM POST /Rep"] * 3


async def test_a_list_of_users_in_hand_answers_for_the_unknown(gateway: Gateway) -> None:
    """Who is not among the users is null, and costs no call."""
    data = await gateway.data("{ reps(repIds: [1001, 4, 5, 6]) { repId } }")
    assert data == {"reps": [{"repId": 1001}, None, None, None]}
    assert gateway.calls == ["RPM POST /AgentUsers"]


async def test_a_single_rep_is_asked_for_alone(gateway: Gateway) -> None:
    """One rep is one call of Rep, whatever is selected of it."""
    await gateway.data("{ reps(repIds: [1001]) { name } }")
    assert gateway.calls == ["RPM POST /Rep"]


async def test_a_key_that_may_not_list_users_still_reads_reps(gateway_with: MakeGateway) -> None:
    """Where RPM refuses AgentUsers to the key, each rep is asked for by itself."""
    gateway = await gateway_with(rpm={"api_key": "sandbox-rpm-rep-only-key"})
    data = await gateway.data("{ reps(repIds: [1001, 1002]) { repId } }")
    assert data == {"reps": [{"repId": 1001}, {"repId": 1002}]}
    assert gateway.calls == ["RPM POST /AgentUsers", "RPM POST /Rep", "RPM POST /Rep"]


async def test_an_unknown_phone_type_stays_readable(gateway: Gateway) -> None:
    """A phone type that no page prints is OTHER with its code, and spoils nothing."""
    data = await gateway.data("{ rep(by: { repId: 1007 }) { phoneNumbers { kind typeCode } } }")
    assert data["rep"]["phoneNumbers"] == [
        {"kind": "BUSINESS", "typeCode": 1},
        {"kind": "HOME", "typeCode": 2},
        {"kind": "OTHER", "typeCode": 6},
        {"kind": "OTHER", "typeCode": 5},
    ]


async def test_relationships_are_read_in_every_spelling(gateway: Gateway) -> None:
    """`Employee`, `Sub-agent` and `SubAgent` are two values."""
    data = await gateway.data("{ reps(repIds: [1003, 1001, 1002]) { relationship } }")
    assert [r["relationship"] for r in data["reps"]] == ["EMPLOYEE", "SUB_AGENT", "SUB_AGENT"]


async def test_people_of_all_systems_are_persons(gateway: Gateway) -> None:
    """The interface answers for each system, and counterparts lead to Disputes only."""
    number = 21
    data = await gateway.data(
        """query ($email: String!) {
          representative(reference: "REP-021") { ...P }
          rep(by: { repId: 1011 }) { ...P }
          assignee(by: { email: $email }) { ...P }
        }
        fragment P on Person {
          system displayName email title phoneNumbers { kind number } counterparts { id system }
        }""",
        email=human(number)[2],
    )
    for person in data.values():
        assert person["displayName"] == " ".join(human(number)[:2])
        assert person["email"] == human(number)[2]
    assert [p["system"] for p in data.values()] == ["COLLECTIONS", "RPM", "DISPUTES"]
    assert data["representative"]["phoneNumbers"] == [{"kind": "BUSINESS", "number": "+1 212 555 0021"}]
    assert data["assignee"]["counterparts"] == []
    assert [c["system"] for c in data["rep"]["counterparts"]] == ["DISPUTES"]
    assert data["rep"]["counterparts"] == data["representative"]["counterparts"]
    assert gateway.calls == [get("REP-021"), by_email(21), "RPM POST /Rep"]


async def test_emails_are_compared_without_case_and_may_be_missing(gateway: Gateway) -> None:
    """A capitalised address finds its assignee; a representative without one has none, and costs no call."""
    query = "query ($r: String!) { representative(reference: $r) { email assignee { email } counterparts { id } } }"
    data = (await gateway.data(query, r="REP-020"))["representative"]
    assert data["email"] != human(20)[2]
    assert data["assignee"] == {"email": human(20)[2]}
    assert len(data["counterparts"]) == 1
    assert (await gateway.data(query, r="REP-037"))["representative"] == {
        "email": None,
        "assignee": None,
        "counterparts": [],
    }
    assert gateway.calls == [get("REP-037")]
