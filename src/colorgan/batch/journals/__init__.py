"""What was made of which photo: what is noted, and where that is kept."""
