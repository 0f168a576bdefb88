"""`python -m app` is `usher`."""

from app.cli import main

main()
