"""Formats that cross the wire: RecordIO-protobuf, the artifact, the payloads of a batch transform."""
