import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe


def read(number, file, key):
    properties = pe.create_decryption_properties(footer_key=key)
    return pq.ParquetFile(file, decryption_properties=properties).read()


def load():
    """All rows that are sealed now."""
    tables = every(read)
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


store = load()

if __name__ == "__main__":
    print(store)
