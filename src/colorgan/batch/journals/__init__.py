"""Journals: records of which result was made of which photo with which settings, and their stores."""
