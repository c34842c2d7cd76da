"""Predictions on many machines: batches of tables for engines such as Ray, and files shared out among its workers."""
