"""Tells the story with analytics-python 1.4: `tell.py HOST WRITE_KEY`."""

import sys

from analytics.client import Client

host, key = sys.argv[1:]
sdk = Client(key, host=host, on_error=lambda error, items: sys.exit(str(error)), max_retries=2)
sdk.track(anonymous_id="v-1", event="Viewed", properties={"sku": "A"})
who = {"email": "ana@example.com", "name": "Ana Lee", "plan": "pro"}
sdk.identify("u-1", who, anonymous_id="v-1")
sdk.track("u-1", "Order Completed", {"total": 12.5})
sdk.page("u-1", "Docs", "Home")
sdk.screen("u-1", "App", "Start")
sdk.group("u-1", "acme", {"size": 3})
sdk.alias("v-1", "u-1")
sdk.flush()
sdk.join()
