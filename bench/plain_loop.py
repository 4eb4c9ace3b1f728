"""The yardstick of bench/send.py: the mailer one would write in an afternoon.

Two processes, `email.message.EmailMessage` and `smtplib`, one connection each, no log kept.
"""

import sys
import time
from email.message import EmailMessage
from smtplib import SMTP


def main() -> None:
    """Send argv[3] messages to argv[1]:argv[2] and print the seconds it took."""
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with open(sys.argv[4], encoding="utf-8") as file:
        html = file.read()
    started = time.perf_counter()
    with SMTP(host, port) as smtp:
        for number in range(count):
            message = EmailMessage()
            message["From"] = "Elevate <hello@shop.example>"
            message["To"] = f"m{number}@people.example"
            message["Subject"] = f"Ana {number}, your gift guide"
            body = html.replace("{{ member.first_name }}", f"Ana {number}")
            message.set_content(f"Hello Ana {number}, your gift guide is here.")
            message.add_alternative(body, subtype="html")
            smtp.send_message(message)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
