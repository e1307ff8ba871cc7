-- The sample database of the demo: a small shop of about 50,000 rows, with what
-- makes a dump interesting: keys between tables, types of its own, JSON, bytes,
-- a view, a function, a trigger, and names and text that are not ASCII.

CREATE TYPE order_state AS ENUM ('open', 'paid', 'shipped', 'returned');

CREATE TABLE customers (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL UNIQUE,
    preferences jsonb NOT NULL DEFAULT '{}',
    joined_at   timestamptz NOT NULL
);

CREATE TABLE products (
    sku   text PRIMARY KEY,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price > 0),
    image bytea
);

CREATE TABLE orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    state       order_state NOT NULL DEFAULT 'open',
    placed_at   timestamptz NOT NULL,
    note        text
);

CREATE TABLE order_items (
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    line     smallint NOT NULL,
    sku      text NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, line)
);

CREATE TABLE "Größen & Maße" (
    "Größe"   text PRIMARY KEY,
    "Maß in ″" numeric
);

CREATE TABLE returns (LIKE order_items);  -- stays empty

INSERT INTO customers (name, email, preferences, joined_at)
SELECT (ARRAY['Zoë', 'Łukasz', '美咲', 'Өмүрбек', 'O''Brien', 'نور', 'Ana 🐘'])[n % 7 + 1] || ' ' || n,
       'customer' || n || '@example.com',
       jsonb_build_object('newsletter', n % 3 = 0, 'tags', jsonb_build_array('t' || n % 11, E'tab\tand\\slash')),
       timestamptz '2024-01-01 00:00+00' + n * interval '97 minutes'
FROM generate_series(1, 5000) AS n;

INSERT INTO products (sku, title, price, image)
SELECT 'SKU-' || lpad(n::text, 5, '0'),
       (ARRAY['Kaffee', 'Crème brûlée', '寿司', 'Кефир', 'Tab	bed', E'Two\nlines'])[n % 6 + 1] || ' #' || n,
       (n * 37 % 9900 + 99) / 100.0,
       CASE WHEN n % 4 = 0 THEN decode(repeat(md5(n::text), 20), 'hex') END
FROM generate_series(1, 800) AS n;

INSERT INTO orders (customer_id, state, placed_at, note)
SELECT n * 7919 % 5000 + 1,
       (enum_range(NULL::order_state))[n % 4 + 1],
       timestamptz '2025-01-01 00:00+00' + n * interval '43 minutes',
       CASE WHEN n % 10 = 0 THEN 'Bitte klingeln – danke! ☕' END
FROM generate_series(1, 12000) AS n;

INSERT INTO order_items (order_id, line, sku, quantity)
SELECT o, l, 'SKU-' || lpad((o * 31 + l * 7) % 800 + 1 || '', 5, '0'), (o + l) % 5 + 1
FROM generate_series(1, 12000) AS o, generate_series(1, 1 + o % 5) AS l;

INSERT INTO "Größen & Maße" VALUES ('S', 34.5), ('M', 36), ('L', 38.25), ('XL', NULL);

CREATE INDEX ON orders (customer_id);
CREATE INDEX ON customers USING gin (preferences);

CREATE VIEW revenue_by_month AS
SELECT date_trunc('month', o.placed_at) AS month, sum(p.price * i.quantity) AS revenue
FROM orders AS o
JOIN order_items AS i ON i.order_id = o.id
JOIN products AS p USING (sku)
WHERE o.state <> 'returned'
GROUP BY 1;

CREATE FUNCTION refuse_free_products() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.price < 0.01 THEN
        RAISE EXCEPTION 'a product costs something; this is no COPY and no end: %', E'\\.';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER no_free_products BEFORE INSERT OR UPDATE ON products
FOR EACH ROW EXECUTE FUNCTION refuse_free_products();

ANALYZE;
