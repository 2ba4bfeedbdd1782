"""The provider's REST API: knows HTTP, knows neither Dagster nor events."""
