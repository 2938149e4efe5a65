import base64

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

db = duckdb.connect()


def query(number, file, key):
    """DuckDB decrypts a segment itself. It cannot decrypt nested columns yet: where there are any, pyarrow does."""
    properties = pe.create_decryption_properties(footer_key=key)
    segment = pq.ParquetFile(file, decryption_properties=properties)
    if any(pa.types.is_nested(field.type) for field in segment.schema_arrow):
        db.register(f"segment_{number}", segment.read())
        return f"SELECT * FROM segment_{number}"
    db.execute(f"PRAGMA add_parquet_key('key_{number}', '{base64.b64encode(key).decode()}')")
    path = file.replace("'", "''")
    return f"SELECT * FROM read_parquet('{path}', encryption_config = {{footer_key: 'key_{number}'}})"


def load():
    """All rows that are sealed now."""
    queries = every(query)
    return db.sql(" UNION ALL BY NAME ".join(queries)) if queries else None


store = load()

if __name__ == "__main__":
    print(store)
