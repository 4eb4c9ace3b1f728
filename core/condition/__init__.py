"""The one condition language: who a rule means, as text, JSON, SQL and a yes or no.

Start with ast.py; members/rule.py turns conditions into SQL and into an answer for one member.
"""

from core.condition.ast import Condition as Condition
from core.condition.check import ConditionError as ConditionError
from core.condition.json import from_json as from_json
from core.condition.json import to_json as to_json
from core.condition.text import format as format
from core.condition.text import parse as parse
