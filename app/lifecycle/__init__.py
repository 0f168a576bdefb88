"""The life of a dispatch: transitions, and the decisions about arriving and leaving."""
