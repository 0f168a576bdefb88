"""Several LiveKit projects in one Usher: users who are restricted to some, requests that leave the project out."""
