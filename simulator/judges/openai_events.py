"""Judges Realtime events by the types of OpenAI's own Python package (openai==3.51.0).

Reads JSON lines {"direction": "client" | "server", "event": {...}} from standard input; whoever speaks the protocol can
write them. Each event must fit the package's model for its type with pydantic's strict rules (right types, nothing
required missing), and, because the package's models let strangers in, must have no field that the model does not name.
Prints how many events of each type there were and exits 1 if any was refused, or if there were none.

    cargo run -p trunkline-simulator --example openai_events | $JUDGE_PYTHON simulator/judges/openai_events.py

With --unknown-allowed, server events of a type that the package does not know are counted instead of refused.
"""

import json
import sys
import typing
from collections import Counter

import openai
import pydantic
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from openai.types.realtime.response_item_reference import ResponseItemReference

WANTED = "3.51.0"

# The package types the session of session.created and session.updated as a *request*; that the server adds these three
# is in its RealtimeSessionCreateResponse and in the vendor's guide.
SERVERS_OWN = {("session",): {"id", "object", "expires_at"}}


def models(union):
    """The package's model for each `type`."""
    union = typing.get_args(union)[0] if typing.get_origin(union) is typing.Annotated else union
    found = {}
    for model in typing.get_args(union):
        for name in typing.get_args(model.model_fields["type"].annotation):
            found[name] = model
    return found


MODELS = {"client": models(RealtimeClientEvent), "server": models(RealtimeServerEvent)}


def strangers(value, path=()):
    """Fields that no model names, wherever they are."""
    if isinstance(value, pydantic.BaseModel):
        allowed = SERVERS_OWN.get(path, set())
        for name in (value.model_extra or {}).keys() - allowed:
            yield ".".join(map(str, path + (name,)))
        for name in type(value).model_fields:
            yield from strangers(getattr(value, name), path + (name,))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from strangers(entry, path + (index,))
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from strangers(entry, path + (name,))


def judge(direction, event):
    """Why the event is refused: a list of sentences, empty when it is right; None when its type is unknown."""
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return ["not an object with a type"]
    model = MODELS[direction].get(event["type"])
    if model is None:
        return None
    faults = []
    if event["type"] == "response.create":
        # References are typed apart from the items they may stand among.
        response = dict(event.get("response") or {})
        items = response.get("input")
        if isinstance(items, list):
            references = [item for item in items if isinstance(item, dict) and item.get("type") == "item_reference"]
            response["input"] = [item for item in items if item not in references]
            event = {**event, "response": response}
            for reference in references:
                faults += check(ResponseItemReference, reference)
    return faults + check(model, event)


def check(model, value):
    try:
        parsed = model.model_validate(value, strict=True)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return [f"{name}: not a field of {model.__name__}" for name in strangers(parsed)]


def main():
    unknown_allowed = "--unknown-allowed" in sys.argv[1:]
    if openai.__version__ != WANTED:
        print(f"openai {WANTED} is wanted, {openai.__version__} is installed", file=sys.stderr)
        return 1
    counts, unknown, refused = Counter(), Counter(), 0
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        entry = json.loads(line)
        direction, event = entry["direction"], entry["event"]
        faults = judge(direction, event)
        kind = (direction, event.get("type") if isinstance(event, dict) else None)
        if faults is None and unknown_allowed and direction == "server":
            unknown[kind] += 1
            continue
        if faults is None:
            faults = ["the package has no such event"]
        counts[kind] += 1
        if faults:
            refused += 1
            for fault in faults[:5]:
                print(f"line {number}: {kind[0]} {kind[1]}: {fault}", file=sys.stderr)
    for (direction, kind), count in sorted(counts.items()):
        print(f"{count:7} {direction} {kind}")
    for (direction, kind), count in sorted(unknown.items()):
        print(f"{count:7} {direction} {kind} (unknown to the package)")
    print(f"{sum(counts.values())} events judged, {refused} refused")
    return 1 if refused or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
