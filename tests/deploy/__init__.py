"""What a gateway is deployed with: the image, the manifests, the dashboard."""
