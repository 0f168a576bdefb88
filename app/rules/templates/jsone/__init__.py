"""JSON-e (https://json-e.js.org), compiled once and rendered under a budget.

The grammar of expressions is the `json-e` package's own parser; the evaluation is ours, because the package offers no
hook by which a template could be held to bounded time and memory (`9**9**9`, strings that double, `$map` in `$map`).
Every evaluated node costs a step, everything that grows costs by its size, so what a template may cost is a count and
never depends on the machine. Where we differ from the package, we differ on purpose:

- results of `$find` are returned, not rendered again: data from a participant never becomes a template;
- `true == 1` is false, as in JSON; whole results of `/` and `number()` are whole numbers, as in JavaScript;
- `join` takes strings, numbers and booleans only; whole and broken numbers can be compared with each other;
- numbers end at 2**1023, infinities and NaN are refused; nesting ends at 100 levels;
- what is wrong in every event is told before rendering, also in a branch that would not be taken;
- all mistakes are TemplateError with a path, also those where the package shows a Python error.
"""

from app.rules.templates.jsone.budget import MOST_STEPS, TemplateError
from app.rules.templates.jsone.compiler import CompiledTemplate, compile_template

__all__ = ["MOST_STEPS", "CompiledTemplate", "TemplateError", "compile_template"]
