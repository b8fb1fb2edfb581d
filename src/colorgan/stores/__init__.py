"""Object stores such as S3, through fsspec: access, and the conversion of their errors."""
