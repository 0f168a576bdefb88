"""Messages about incidents and calls: channels of people, subscriptions of programs, and what is sent to them."""
