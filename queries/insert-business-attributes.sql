-- dbtune: 1
-- route: POST /businesses, POST /parties
-- calls: 5
-- source: sqlalchemy
-- types:
-- - uuid
-- - text
-- - text
-- - jsonb
-- - timestamp without time zone
-- sets:
--   frequent: [005632a4-6404-4cc4-b408-173d9f1f39f6, null, null, '{"ruref": "49361447697", "name": "Ashford Bakery Ltd", "trading_as": "Ashford Bakery", "frotover": 120}', '2019-01-30 12:00:00']
INSERT INTO partysvc.business_attributes (business_id, sample_summary_id, collection_exercise, attributes,
    created_on) VALUES ($1::UUID, $2, $3, $4::JSONB, $5) RETURNING partysvc.business_attributes.id
