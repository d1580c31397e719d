"""The gateway: REST, WebSocket and the web page. It decides nothing about tasks and touches no database."""
