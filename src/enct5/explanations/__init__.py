"""Why a prediction came out."""
