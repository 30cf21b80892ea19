-- dbtune: 1
-- route: GET /businesses/search
-- calls: 2
-- source: sqlalchemy
-- types:
-- - text
-- - text
-- - text
-- - text
-- - text
-- - text
-- - text
-- - text
-- sets:
--   frequent: [name, trading_as, '%Ltd%', '%Horologists%', '%Ltd%', '%Horologists%', '%Ltd%', '%Horologists%']
--   absent: [name, trading_as, '%Xylophone%', '%Ltd%', '%Xylophone%', '%Ltd%', '%Xylophone%', '%Ltd%']
SELECT DISTINCT partysvc.business.business_ref AS partysvc_business_business_ref,
    partysvc.business_attributes.attributes ->> $1 AS anon_1,
    partysvc.business_attributes.attributes ->> $2 AS anon_2
FROM partysvc.business_attributes
    JOIN partysvc.business ON partysvc.business.party_uuid = partysvc.business_attributes.business_id
WHERE partysvc.business.business_ref ILIKE $3 AND partysvc.business.business_ref ILIKE $4
    OR (partysvc.business_attributes.attributes ->> $1) ILIKE $5
    AND (partysvc.business_attributes.attributes ->> $1) ILIKE $6
    OR (partysvc.business_attributes.attributes ->> $2) ILIKE $7
    AND (partysvc.business_attributes.attributes ->> $2) ILIKE $8
