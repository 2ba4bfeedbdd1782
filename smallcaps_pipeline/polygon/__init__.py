"""The provider's REST API: knows HTTP, knows neither Dagster nor events.

    connect → client → asked, pages → transport (one request) → limiter, HTTP
                                └→ frames → wire

`connect.connect` makes a `client.PolygonClient`; every failure is an `errors.ProviderError`.
"""
