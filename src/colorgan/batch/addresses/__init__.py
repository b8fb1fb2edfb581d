"""Photos and results at addresses such as s3://bucket/photos: planning, reading and writing."""
