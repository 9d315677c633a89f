"""The people that the emulated systems begin with: made up, the same every time, and shared by email."""

from typing import Any

from peoplegraph.sandbox.disputes import ADDRESS_FIELDS, TENANT
from peoplegraph.sandbox.store import Record, Store

FIRST_NAMES = (
    "Ada Alan Barbara Cleo Dorothy Edsger Emmy Frances Grace Hedy Ivan Jean John Katherine Kurt Leslie "
    "Margaret Niklaus Noor Olga Per Radia Richard Sofia Tony Ursula Vera Whitfield Yukihiro Zuse"
).split()
LAST_NAMES = (
    "Abara Bello Costa Dubois Eriksen Ferrari Garcia Haddad Ito Jansen Kovacs Larsen Moreau Novak Okafor "
    "Petrov Quinn Rossi Silva Tanaka Ueda Varga Weber Xu Yilmaz Zeman Adler Brandt Conti Diaz Egger"
).split()
DEPARTMENTS = (
    ("BILLING", "Billing"),
    ("CREDIT", "Credit"),
    ("PRICING", "Pricing"),
    ("RETURNS", "Returns"),
    ("SHIPPING", "Shipping"),
    ("TAX", "Tax"),
    ("TERMS", "Terms"),
    ("LEGAL", "Legal"),
)
TITLES = ("Account Manager", "Collector", "Sales Representative", "Team Lead", "Director")
CITIES = (
    ("New York", "NY", "10001"),
    ("Chicago", "IL", "60601"),
    ("Austin", "TX", "73301"),
    ("Denver", "CO", "80201"),
)
ODD_REFERENCE = "A/B?c#d%2F é"
"""A reference with every character that could lead a path astray."""

REPRESENTATIVES = 220
ASSIGNEES = 250
REPS = 120
AGENCIES = 12
SUPPLIERS = 6
ACCOUNTS = 600
LEGACY_PHONE_TYPE = 5


def seed(store: Store) -> None:
    """Fill an empty store."""
    store.begin()
    for number in range(1, ACCOUNTS + 1):
        store.accounts.put(account(number), {"account_number": account(number)})
        store.documents.put(document(number), {"document_number": document(number)})
    for number in range(1, REPRESENTATIVES + 1):
        store.representatives.put(reference(number), _representative(number))
    odd = {**_representative(REPRESENTATIVES), "reference": ODD_REFERENCE, "name": "Odd Reference"}
    store.representatives.put(ODD_REFERENCE, odd)
    _seed_disputes(store)
    _seed_rpm(store)
    store.commit()


def human(number: int) -> tuple[str, str, str]:
    """Return first name, last name and email address of the human `number`, from 1."""
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[(number * 7 + number // len(FIRST_NAMES)) % len(LAST_NAMES)]
    return first, last, f"{first}.{last}.{number}@northwind.example".lower()


def reference(number: int) -> str:
    """Return the reference of the representative `number`, from 1."""
    return f"REP-{number:03}"


def account(number: int) -> str:
    """Return the account number `number`, from 1."""
    return f"ACCT-{number:04}"


def document(number: int) -> str:
    """Return the document number `number`, from 1."""
    return f"INV-{number:04}"


def _representative(number: int) -> Record:
    """Humans 1 to 220; each leads six others. Some have no address, some spell it in capitals."""
    first, last, email = human(number)
    if number % 10 == 0:
        email = email.title()
    accounts = {2: 250, 3: 100}.get(number, number % 9)
    documents = {4: 200, 5: 120}.get(number, number % 5)
    return {
        "reference": reference(number),
        "name": f"{first} {last}",
        "email": None if number % 37 == 0 else email,
        "phone": f"+1 212 555 {number:04}",
        "mobile_phone": f"+1 917 555 {number:04}" if number % 3 else None,
        "fax": f"+1 646 555 {number:04}" if number % 4 == 0 else "",
        "language": ("en", "es", "fr", "de")[number % 4],
        "title": TITLES[number % len(TITLES)],
        "department": DEPARTMENTS[number % len(DEPARTMENTS)][1],
        "representative_type": ("INSIDE", "FIELD")[number % 2],
        "supervisor_representative_reference": None if number == 1 else reference((number - 2) // 6 + 1),
        "extra_info": None,
        "custom_fields": {"region": ("East", "West")[number % 2], "quota": number * 1000},
        "accounts": [account((number * 5 + i) % ACCOUNTS + 1) for i in range(accounts)],
        "documents": [document((number * 3 + i) % ACCOUNTS + 1) for i in range(documents)],
    }


def _seed_disputes(store: Store) -> None:
    for number, (code, description) in enumerate(DEPARTMENTS, start=1):
        row = {
            "departmentId": f"dep-{number:02}",
            "tenantId": TENANT,
            "code": code,
            "description": description,
        }
        stamps = {f"{verb}User": "user-0001" for verb in ("create", "update")}
        dates = {f"{verb}Date": "2021-03-27T18:50:05.300Z" for verb in ("create", "update")}
        store.departments.put(row["departmentId"], {**row, **stamps, **dates})
    for number in range(1, ASSIGNEES + 1):
        store.assignees.put(f"asg-{number:04}", _assignee(store, number))


def _assignee(store: Store, number: int) -> Record:
    """Humans 1 to 200, and 1 to 50 again in another department; the first of each department is its default.

    The last department has no default. Every other assignee is linked to a user.
    """
    which = number if number <= 200 else number - 200
    department = number % len(DEPARTMENTS) + 1 if number <= 200 else (number + 3) % len(DEPARTMENTS) + 1
    user_id = f"user-{number:04}" if number % 2 or number <= 4 else None
    person = _person(which)
    if user_id:
        store.users.put(user_id, person)
    return {
        "id": f"asg-{number:04}",
        "createUser": "user-0001",
        "createDate": "2021-03-27T18:50:05.300Z",
        "updateUser": "user-0001",
        "updateDate": "2024-06-01T08:00:00.000Z",
        "assigneeId": f"asg-{number:04}",
        "departmentId": f"dep-{department:02}",
        "active": number % 11 != 0,
        "tenantId": TENANT,
        "userId": user_id,
        "allUpdates": number % 2 == 0,
        "dailyDigest": number % 3 == 0,
        "isDefault": number <= len(DEPARTMENTS) and department != len(DEPARTMENTS),
        "person": person,
    }


def _person(number: int) -> Record:
    first, last, email = human(number)
    city, state, code = CITIES[number % len(CITIES)]
    address = dict(zip(ADDRESS_FIELDS, (f"{number} Broadway", None, city, state, code, "US"), strict=True))
    return {
        "firstName": first,
        "lastName": last,
        "email": email,
        "officePhone": f"1212555{number:04}",
        "cellPhone": f"1917555{number:04}" if number % 3 else None,
        "fax": None,
        "title": TITLES[number % len(TITLES)],
        "address": address if number % 5 else None,
        "language": "en",
        "timezone": "America/New York",
    }


def _seed_rpm(store: Store) -> None:
    for number in range(1, AGENCIES + 1):
        store.agencies.put(str(number), {"AgencyID": number, "Agency": f"Agency {number:02}"})
    for number in range(1, SUPPLIERS + 1):
        store.suppliers.put(str(number), {"SupplierID": number, "Supplier": f"Supplier {number}"})
    for number in range(1, REPS + 1):
        store.reps.put(str(1000 + number), _rep(number))
    for number in range(1, 6):
        store.managers.put(str(number), _manager(number))


def _rep(number: int) -> Record:
    """Humans 1, 3, 5 and so on. Every tenth is a manager, too; one has a phone of a type that no page prints."""
    first, last, email = human(number * 2 - 1)
    phones = [(1, f"2125551{number:03}"), (2, f"2125552{number:03}"), (6, f"2125556{number:03}")][: number % 4]
    if number == 7:
        phones.append((LEGACY_PHONE_TYPE, "2125555007"))
    supplier = number % SUPPLIERS + 1
    return {
        "Added": "2020-01-15",
        "Agency": f"Agency {number % AGENCIES + 1:02}",
        "AgencyID": number % AGENCIES + 1,
        "AgencyArchived": number % AGENCIES == 11,
        "AssignmentCodes": [
            {"AssignmentCode": f"C{number:03}", "Supplier": f"Supplier {supplier}", "SupplierID": supplier}
        ],
        "CommissionsHidden": number % 4 == 0,
        "Contact": {
            "ContactID": 9000 + number,
            "Email": email,
            "FirstName": first,
            "LastName": last,
            "PhoneNumbers": [_phone(number, kind, text) for kind, text in phones],
            "Salutation": ("Ms", "Mr", None)[number % 3],
            "Title": TITLES[number % len(TITLES)],
        },
        "Fields": [{"Field": "Territory", "Value": f"T{number % 7}"}],
        "Enabled": number % 8 != 0,
        "Modified": "2025-02-03",
        "NotesForStaff": [{"Note": "Prefers email", "Added": "2023-05-05", "By": "Staff"}] if number < 5 else [],
        "Relationship": ("Employee", "Sub-agent", "SubAgent")[number % 3],
        "Rep": f"{first} {last}",
        "RepID": 1000 + number,
        "MgrID": 7000 + number if number % 10 == 0 else 0,
        "Type": "Rep and manager" if number % 10 == 0 else "Rep",
        "Username": f"{first}.{last}.{number}".lower(),
        "UserID": 5000 + number,
        "Company": f"Company {number}",
    }


def _phone(number: int, kind: int, text: str) -> dict[str, Any]:
    return {"Number": text, "PhoneNumberID": number * 10 + kind, "Type": kind}


def _manager(number: int) -> Record:
    first, last, _ = human(300 + number)
    return {
        "Name": f"{first} {last}",
        "UserID": 6000 + number,
        "Username": f"{first}.{last}.{300 + number}".lower(),
        "Type": 2,
        "AgencyID": number,
        "Agency": f"Agency {number:02}",
        "AgencyArchived": False,
        "Enabled": True,
        "RepID": 0,
        "MgrID": 8000 + number,
    }
