"""Sends agents into rooms made for that, and times their arrival: trigger, a schedule or `usher probe`."""
