"""The steps, oldest first. A step that was released is never edited; a change is a new step.

There are no steps back: they would drop what people have booked. The way back is a backup.
"""
