"""Files that workers of one machine share."""
