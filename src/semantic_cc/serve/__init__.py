"""REST service and web page: `semantic-cc serve`. `service.create_app` puts it together."""
