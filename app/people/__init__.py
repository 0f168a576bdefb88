"""People and their keys: who may do what, how they prove who they are, and a record of every change to that."""
