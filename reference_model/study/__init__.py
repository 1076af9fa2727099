"""What the mask, the stages and the mixture do, at a size where ten seeds are affordable. PROTOCOL.md came first."""
