// The server's description of itself, with buttons to try it.

/* global SwaggerUIBundle */
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", validatorUrl: null });
