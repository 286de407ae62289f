"""Private keys that mail is signed with (DKIM): RSA as in RFC 6376 §3.3.1, or Ed25519 as in RFC 8463."""

from __future__ import annotations

import base64
import functools
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

LEAST_BITS, MOST_BITS = 2048, 4096
_STRING = 255

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@functools.lru_cache(maxsize=64)
def parse_key(pem: bytes) -> PrivateKey:
    """The key of a PEM file. Raises ValueError that says what is wrong with it, never showing any of it."""
    try:
        found = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("is protected by a passphrase, which nobody can type here") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a private key in PEM form") from None
    if isinstance(found, Ed25519PrivateKey):
        return found
    if not isinstance(found, RSAPrivateKey):
        raise ValueError("is neither an RSA nor an Ed25519 key")
    if not LEAST_BITS <= found.key_size <= MOST_BITS:
        raise ValueError(f"is an RSA key of {found.key_size} bits; {LEAST_BITS} is right, and more than {MOST_BITS} few can verify")
    return found


def new_key(algorithm: str) -> bytes:
    """A new private key as PEM (PKCS #8); ``algorithm`` is "rsa" or "ed25519"."""
    made = Ed25519PrivateKey.generate() if algorithm == "ed25519" else generate_private_key(65537, LEAST_BITS)
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, form, cipher)


def algorithm_of(key: PrivateKey) -> str:
    """How DNS and signatures call its kind."""
    return "ed25519" if isinstance(key, Ed25519PrivateKey) else "rsa"


def published(key: PrivateKey) -> str:
    """The public half as ``p=`` in DNS: the bare 32 bytes of Ed25519 (RFC 8463 §4.2), else SubjectPublicKeyInfo."""
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        data = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        data = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(data).decode("ascii")


def fingerprint(key: PrivateKey) -> str:
    """Sixteen characters by which this key is known again."""
    return hashlib.sha256(published(key).encode("ascii")).hexdigest()[:16]


def record(key: PrivateKey) -> str:
    """The value of its TXT record as strings of at most 255 characters (RFC 6376 §3.6.2.2)."""
    text = f"v=DKIM1; k={algorithm_of(key)}; p={published(key)}"
    return " ".join(f'"{text[start : start + _STRING]}"' for start in range(0, len(text), _STRING))
