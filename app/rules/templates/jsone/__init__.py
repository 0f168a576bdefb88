"""JSON-e (https://json-e.js.org), compiled once and rendered within a budget.

The json-e package offers no way to bound the time and memory of a template (`9**9**9`, strings that double, `$map` in
`$map`). Here every evaluated node costs a step, and everything that grows costs by its size, so the cost of a template
is a count and does not depend on the machine. Templates are compiled once, and a check finds every mistake with its
path, also in a branch that is not taken.

`specification.yml` of json-e (9bb89a7, 1175 cases) gives the same results, but for six cases: five return a function,
which the caller refuses (`measure`); one is about names in the context, which are Usher's own. The unit tests compare
with the package on random expressions and templates. Intended differences:

- results of `$find` are returned, not rendered again: data of a participant never becomes a template;
- `true == 1` is false, as in JSON; whole results of `/` and `number()` are whole numbers, as in JavaScript;
- `join` takes strings, numbers and booleans only; whole numbers and fractions can be compared with each other;
- numbers end at 2**1023, infinities and NaN are refused; nesting ends at 100 levels;
- `!a.b` is refused, where the package evaluates `(!a).b`; `a[1 2]` is refused, where it evaluates `a[1]`;
- what is wrong in every event is an error before rendering;
- every error is a TemplateError with a path, also where the package raises an error of Python's.
"""

from app.rules.templates.jsone.budget import MOST_STEPS, TemplateError
from app.rules.templates.jsone.compiler import CompiledTemplate, compile_template

__all__ = ["MOST_STEPS", "CompiledTemplate", "TemplateError", "compile_template"]
