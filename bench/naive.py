"""`echelonx` as it would be with one commit for each request: what bench.webhooks compares with."""

from typing import Any

from echelonx.cli import main
from webhooks.group import GroupCommit


def alone(self: GroupCommit[Any, Any], item: Any) -> Any:
    return self._commit([item])[0]


if __name__ == "__main__":
    GroupCommit.put = alone  # type: ignore[method-assign]
    main()
