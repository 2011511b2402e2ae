"""Botocore's service model as a judge of every answer: names, types, members, error codes."""

import json

# errors that any operation may answer, whatever its model declares
COMMON = {"ValidationException", "UnknownOperationException"}
COMMON |= {"SerializationException", "AccessDeniedException"}
NUMBERS = dict.fromkeys(("integer", "long"), int)
NUMBERS |= dict.fromkeys(("float", "double", "timestamp"), (int, float))
OTHERS = {"string": str, "boolean": bool, "structure": dict, "map": dict, "list": list}


def faults(shape, value, path="answer"):
    """Yield what is wrong with a decoded answer."""
    expected = NUMBERS.get(shape.type_name) or OTHERS[shape.type_name]
    if not isinstance(value, expected) or (shape.type_name in NUMBERS and isinstance(value, bool)):
        yield f"{path} is {value!r}, not {shape.type_name}"
    elif shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path} lacks {name}"
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{path} has {name}, which SageMaker's does not"
            else:
                yield from faults(shape.members[name], inner, f"{path}.{name}")
    elif shape.type_name == "list":
        for place, inner in enumerate(value):
            yield from faults(shape.member, inner, f"{path}[{place}]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from faults(shape.value, inner, f"{path}[{name}]")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, none of {shape.enum}"
    elif shape.type_name in NUMBERS and shape.metadata.get("min", float("-inf")) > value:
        yield f"{path} is {value}, less than {shape.metadata['min']}"
    elif shape.type_name == "string" and len(value) > shape.metadata.get("max", float("inf")):
        yield f"{path} is longer than {shape.metadata['max']}"


def judge(client):
    """Check every answer that a client gets from now on; faults raise in the call."""

    def before_parse(operation_model, response_dict, **_):
        body, status = response_dict["body"], response_dict["status_code"]
        if operation_model.service_model.service_name == "sagemaker-runtime" and status < 300:
            assert response_dict["headers"].get("x-Amzn-Invoked-Production-Variant")
            return
        decoded = json.loads(body) if body else {}
        if status >= 300:
            declared = {e.name: e for e in operation_model.error_shapes}
            code = decoded.get("__type") or decoded.get("Code")
            assert code in set(declared) | COMMON, f"{operation_model.name} answers {code!r}"
            assert response_dict["headers"]["x-amzn-ErrorType"] == code
            assert decoded.get("Message"), "an error without a sentence"
            if code in declared and code == "ModelError":
                assert set(decoded) - {"Code"} <= set(declared[code].members)
            return
        shape = operation_model.output_shape
        found = list(faults(shape, decoded)) if shape else []
        assert not found, f"{operation_model.name}: {found}"

    client.meta.events.register("before-parse", before_parse)
    return client
