"""References: the name of one attempt, planted at the provider and read back from its receipts."""

from core.token import Signer

PURPOSE = "attempt"


class References:
    """Makes and reads references: `[A-Za-z0-9_-]+`, at most 40 characters, signed.

    A forged or altered reference reads as None, so a provider's echo of it is proof that it comes
    from us.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def make(self, communication_id: int, token: int) -> str:
        """Return the reference of attempt `token` of a communication."""
        return self._signer.sign(PURPOSE, communication_id, token)

    def read(self, text: str) -> tuple[int, int] | None:
        """Return (communication id, token), or None for anything we did not make."""
        numbers = self._signer.verify(PURPOSE, text, 2)
        return (numbers[0], numbers[1]) if numbers is not None else None
