"""The languages of the console: `messages.pot` lists its texts, and each `.po` file translates them."""
