"""Verifies captured deliveries with the Python library of Standard Webhooks.

tests/it/webhook_deliveries.rs names a JSON file: {"secret", "delivered": [{"headers", "body"}]}.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
webhook = Webhook(captured["secret"])
for delivered in captured["delivered"]:
    webhook.verify(delivered["body"], delivered["headers"])
    try:
        webhook.verify(delivered["body"] + " ", delivered["headers"])
    except WebhookVerificationError:
        continue
    sys.exit("a changed body was taken")
print(f"{len(captured['delivered'])} verified")
