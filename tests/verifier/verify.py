"""verify.py ENVELOPES KEY...: checks DSSE envelopes, one in a line, with libraries that know nothing of this project.

A key is a file with a public key in PEM, or 64 hexadecimal digits. Each envelope must be signed by one of the keys
(securesystemslib), its payload must be an in-toto statement v1 with a SLSA provenance v1 predicate and nothing else
(in-toto-attestation: schemas of their own, members that they do not know are refused). Prints what the statements say as
one JSON document; ends with 1 and a sentence if one does not hold.
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey


def read_key(text):
    if Path(text).is_file():
        return SSlibKey.from_crypto(load_pem_public_key(Path(text).read_bytes()))
    hexadecimal = SSlibKey("", "ed25519", "ed25519", {"public": text})
    # The library's own name for it.
    return SSlibKey.from_crypto(hexadecimal._crypto_key())


def check(line, keys):
    envelope = Envelope.from_dict(json.loads(line))
    accepted = envelope.verify(keys, 1)
    if envelope.payload_type != "application/vnd.in-toto+json":
        raise ValueError(f"the payload is {envelope.payload_type}")
    statement = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    if statement.predicate_type != "https://slsa.dev/provenance/v1":
        raise ValueError(f"the predicate is {statement.predicate_type}")
    predicate = json_format.MessageToDict(statement.predicate)
    provenance = json_format.ParseDict(predicate, provenance_pb2.Provenance())
    definition = provenance.build_definition
    for descriptor in [*definition.resolved_dependencies, *provenance.run_details.byproducts]:
        ResourceDescriptor.copy_from_pb(descriptor).validate()
        if not descriptor.digest:
            raise ValueError(f"{descriptor.name} has no digest")
    return {
        "key_ids": sorted(accepted),
        "subject": {subject.name: dict(subject.digest) for subject in statement.subject},
        "build_type": definition.build_type,
        "external": json_format.MessageToDict(definition.external_parameters),
        "internal": json_format.MessageToDict(definition.internal_parameters),
        "dependencies": [
            {"name": one.name, "uri": one.uri, "digest": dict(one.digest)} for one in definition.resolved_dependencies
        ],
        "builder": provenance.run_details.builder.id,
        "invocation": provenance.run_details.metadata.invocation_id,
        "byproducts": [one.name for one in provenance.run_details.byproducts],
    }


def main():
    envelopes, *keys = sys.argv[1:]
    keys = [read_key(text) for text in keys]
    try:
        lines = Path(envelopes).read_text().splitlines()
        if not lines:
            raise ValueError("there is no envelope")
        print(json.dumps([check(line, keys) for line in lines]))
    except Exception as error:  # whatever a library calls it, it does not hold
        sys.exit(f"{type(error).__name__}: {error}")


main()
