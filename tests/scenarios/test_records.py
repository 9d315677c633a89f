"""Records: every field that a vendor's page has is in the schema."""

from peoplegraph.sandbox.seed import human
from tests.gateway import Gateway


async def test_a_rep_by_every_key(gateway: Gateway) -> None:
    """A rep is had by id, by a supplier's code and by agency and name, and knows everything of itself."""
    data = await gateway.data(
        """query ($name: String!) {
          byId: rep(by: { repId: 1002 }) { ...All }
          byCode: rep(by: { assignment: { supplierId: 3, code: "C002" } }) { ...All }
          byName: rep(by: { agencyAndName: { agencyId: 3, name: $name } }) { ...All }
        }
        fragment All on Rep {
          repId name salutation firstName lastName title email username userId managerId contactId
          enabled commissionsHidden relationship type addedAt modifiedAt
          agency { agencyId name archived } phoneNumbers { kind number typeCode }
          assignmentCodes { code supplier { supplierId name } } fields { name value }
          notesForStaff { note by addedAt }
        }""",
        name=" ".join(human(3)[:2]),
    )
    assert data["byId"] == data["byCode"] == data["byName"]
    first, last, email = human(3)
    assert data["byId"] == {
        "repId": 1002,
        "name": f"{first} {last}",
        "salutation": None,
        "firstName": first,
        "lastName": last,
        "title": "Sales Representative",
        "email": email,
        "username": f"{first}.{last}.2".lower(),
        "userId": 5002,
        "managerId": None,
        "contactId": 9002,
        "enabled": True,
        "commissionsHidden": False,
        "relationship": "SUB_AGENT",
        "type": "Rep",
        "addedAt": "2020-01-15",
        "modifiedAt": "2025-02-03",
        "agency": {"agencyId": 3, "name": "Agency 03", "archived": False},
        "phoneNumbers": [
            {"kind": "BUSINESS", "number": "2125551002", "typeCode": 1},
            {"kind": "HOME", "number": "2125552002", "typeCode": 2},
        ],
        "assignmentCodes": [{"code": "C002", "supplier": {"supplierId": 3, "name": "Supplier 3"}}],
        "fields": [{"name": "Territory", "value": "T2"}],
        "notesForStaff": [{"note": "Prefers email", "by": "Staff", "addedAt": "2023-05-05"}],
    }
    assert gateway.calls == ["RPM POST /Rep"] * 3


async def test_an_assignee_knows_everything_of_itself(gateway: Gateway) -> None:
    """Every field of the vendor's answer is in the schema."""
    data = await gateway.data(
        """{ assignee(by: { assigneeId: "asg-0001" }) {
          assigneeId tenantId displayName firstName lastName email title officePhone cellPhone fax
          phoneNumbers { kind number } language timezone
          address { address1 address2 city state zip country }
          userId departmentId department { departmentId code description }
          active allUpdates dailyDigest isDefault createdAt createdBy updatedAt updatedBy
        } }"""
    )
    first, last, email = human(1)
    assert data["assignee"] == {
        "assigneeId": "asg-0001",
        "tenantId": "sandbox-tenant",
        "displayName": f"{first} {last}",
        "firstName": first,
        "lastName": last,
        "email": email,
        "title": "Collector",
        "officePhone": "12125550001",
        "cellPhone": "19175550001",
        "fax": None,
        "phoneNumbers": [
            {"kind": "BUSINESS", "number": "12125550001"},
            {"kind": "MOBILE", "number": "19175550001"},
        ],
        "language": "en",
        "timezone": "America/New York",
        "address": {
            "address1": "1 Broadway",
            "address2": None,
            "city": "Chicago",
            "state": "IL",
            "zip": "60601",
            "country": "US",
        },
        "userId": "user-0001",
        "departmentId": "dep-02",
        "department": {"departmentId": "dep-02", "code": "CREDIT", "description": "Credit"},
        "active": True,
        "allUpdates": False,
        "dailyDigest": False,
        "isDefault": True,
        "createdAt": "2021-03-27T18:50:05.300Z",
        "createdBy": "user-0001",
        "updatedAt": "2024-06-01T08:00:00.000Z",
        "updatedBy": "user-0001",
    }


async def test_a_representative_knows_everything_of_itself(gateway: Gateway) -> None:
    """Every field of the vendor's page is in the schema."""
    data = await gateway.data(
        """{ representative(reference: "REP-008") {
          reference system name email title phone mobilePhone fax phoneNumbers { kind number typeCode }
          language department representativeType extraInfo customFields supervisorReference
        } }"""
    )
    first, last, email = human(8)
    assert data["representative"] == {
        "reference": "REP-008",
        "system": "COLLECTIONS",
        "name": f"{first} {last}",
        "email": email,
        "title": "Team Lead",
        "phone": "+1 212 555 0008",
        "mobilePhone": "+1 917 555 0008",
        "fax": "+1 646 555 0008",
        "phoneNumbers": [
            {"kind": "BUSINESS", "number": "+1 212 555 0008", "typeCode": None},
            {"kind": "MOBILE", "number": "+1 917 555 0008", "typeCode": None},
            {"kind": "FAX", "number": "+1 646 555 0008", "typeCode": None},
        ],
        "language": "en",
        "department": "Billing",
        "representativeType": "INSIDE",
        "extraInfo": None,
        "customFields": {"region": "East", "quota": 8000},
        "supervisorReference": "REP-002",
    }
