"""What goes when nobody needs it any more: the job, its schedule, and what Dagster itself keeps."""
