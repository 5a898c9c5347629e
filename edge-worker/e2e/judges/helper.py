"""Twilio's Python helper as a judge. Reads JSON lines, answers one JSON line each:
{"op":"sign","token","url","params":{name:value or [values]}} -> {"signature"};
{"op":"validate",…,"signature"} -> {"valid"}; {"op":"decode","jwt","secret"} -> {"claims"} or {"error"}."""

import json
import sys

import twilio
from twilio.jwt import JwtDecodeError
from twilio.jwt.access_token import AccessToken
from twilio.request_validator import RequestValidator


class Form(dict):
    """A form whose names may repeat, as web frameworks hand it to the helper."""

    def getlist(self, name):
        value = self[name]
        return value if isinstance(value, list) else [value]


def answer(ask):
    if ask["op"] == "version":
        return {"version": twilio.__version__}
    if ask["op"] == "decode":
        try:
            token = AccessToken.from_jwt(ask["jwt"], ask["secret"])
        except JwtDecodeError as error:
            return {"error": str(error)}
        return {"claims": token.payload, "headers": token.headers}
    validator = RequestValidator(ask["token"])
    if ask["op"] == "sign":
        return {"signature": validator.compute_signature(ask["url"], Form(ask["params"]))}
    return {"valid": validator.validate(ask["url"], Form(ask["params"]), ask["signature"])}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
