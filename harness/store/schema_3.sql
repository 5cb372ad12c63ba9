-- schema_3.sql — schema 2 becomes 3: what a trained network says of a few test items.

CREATE TABLE said(
    id            INTEGER PRIMARY KEY,
    run_id        INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    ix            INTEGER NOT NULL, -- from 0, as it was told
    source        TEXT,             -- this and the next two: NULL where there is none
    reference     TEXT,
    output        TEXT,
    source_tokens TEXT NOT NULL CHECK(json_type(source_tokens) = 'array'),
    output_tokens TEXT NOT NULL CHECK(json_type(output_tokens) = 'array'),
    attention     BLOB,             -- float32, little-endian, [output tokens][source tokens]
    UNIQUE(run_id, ix),
    CHECK(attention IS NULL OR length(attention) =
          4 * json_array_length(output_tokens) * json_array_length(source_tokens))
) STRICT;
