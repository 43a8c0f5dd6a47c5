"""DynamoDB items become plain values and back."""

from decimal import Decimal

from contact_sync.aws.items import from_item, to_item, update_of


def test_an_item_comes_back_as_plain_values() -> None:
    values = {"text": "a", "number": 3, "nothing": None, "list": [1, {"deep": True}]}
    assert values == from_item(to_item(values))


def test_whole_numbers_are_int_and_others_float() -> None:
    item = from_item({"whole": {"N": "3"}, "half": {"N": "2.5"}, "set": {"SS": [*"dacb"]}})
    assert {"whole": 3, "half": 2.5, "set": [*"abcd"]} == item
    assert [int, float] == [type(item["whole"]), type(item["half"])]
    assert not isinstance(item["whole"], Decimal)


def test_numbers_are_plain_at_any_depth() -> None:
    item = from_item({"map": {"M": {"list": {"L": [{"N": "3"}]}}}})
    assert {"map": {"list": [3]}} == item
    assert int is type(item["map"]["list"][0])


def test_an_update_sets_values_by_placeholder() -> None:
    assert update_of({"status": "a", "error": None}) == {
        "UpdateExpression": "SET #status = :status, #error = :error",
        "ExpressionAttributeNames": {"#status": "status", "#error": "error"},
        "ExpressionAttributeValues": {":status": {"S": "a"}, ":error": {"NULL": True}},
    }


def test_an_update_removes_attributes() -> None:
    update = update_of({"a": 1}, ["b", "c"])
    assert "SET #a = :a REMOVE #b, #c" == update["UpdateExpression"]
    assert {"#a": "a", "#b": "b", "#c": "c"} == update["ExpressionAttributeNames"]
