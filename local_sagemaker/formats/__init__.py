"""Formats that cross the wire: RecordIO-protobuf, CSV, the artifact, a transform's payloads."""
