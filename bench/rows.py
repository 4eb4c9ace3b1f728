"""The rows of bench/million.py, a statement each: made by PostgreSQL from hashes of row numbers."""

FILL = (
    """
    CREATE FUNCTION lot(number bigint, salt bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE
    LANGUAGE sql AS 'SELECT (hashint8extended(number, salt) & 2147483647) / 2147483648.0'
    """,
    """
    INSERT INTO campaigns (client_id, name, type, category, status, priority, target_audience,
        schedule_type, tags, cost_per_message, version, created_at, updated_at)
    SELECT 1, 'Campaign ' || n, 'email', 'marketing', 'completed', 'medium', '{}',
        'immediate', '[]', 0.0004, 1, '2026-11-21 12:00Z', '2026-11-21 12:00Z'
    FROM generate_series(1, 20) n
    """,
    """
    INSERT INTO members (client_id, member_id, first_name, last_name, email, phone, tier, status,
        engagement_score, total_spend, last_active, location, timezone, language, attributes,
        version, created_at, updated_at)
    SELECT 1, 'c-' || n,
        (ARRAY['Ana','Jonas','Mia','Léa','Zoë','Søren','Priya','Yuki','Omar','Kofi'])
            [1 + (lot(n, 1) * 10)::int % 10],
        (ARRAY['García','Müller','Novák','Okafor','Silva','Rossi','Haddad','Tanaka','Costa'])
            [1 + (lot(n, 2) * 9)::int % 9] || ' ' || (lot(n, 3) * 5000)::int,
        CASE WHEN lot(n, 4) < 0.95 THEN 'person' || n || '@shop' || n % 50 || '.example' END,
        CASE WHEN lot(n, 5) < 0.6 THEN '+1201' || lpad(n::text, 7, '0') END,
        CASE WHEN lot(n, 6) < 0.6 THEN 'basic' WHEN lot(n, 6) < 0.9 THEN 'premium'
            WHEN lot(n, 6) < 0.98 THEN 'elite' ELSE 'executive' END,
        CASE WHEN lot(n, 7) < 0.9 THEN 'active' WHEN lot(n, 7) < 0.98 THEN 'inactive'
            ELSE 'churned' END,
        round((lot(n, 8) * 100)::numeric, 1), round((lot(n, 9) * 500)::numeric, 2),
        '2026-11-21 12:00Z'::timestamptz - lot(n, 10) * interval '365 days',
        'somewhere', 'Europe/Berlin', 'en',
        jsonb_build_object(
            'city', (ARRAY['Lisbon','Berlin','Kraków','Lyon','Dublin','Porto','Malmö','Vienna'])
                [1 + (lot(n, 11) * 8)::int % 8],
            'plan', (ARRAY['free','starter','pro'])[1 + (lot(n, 12) * 3)::int % 3],
            'visits', (lot(n, 13) * 100)::int),
        1, '2026-01-01Z'::timestamptz + n * interval '1 second',
        '2026-01-01Z'::timestamptz + n * interval '1 second'
    FROM generate_series(1, :members) n
    """,
    """
    INSERT INTO addresses (client_id, member_id, channel, value, hash, state, is_primary,
        created_at, updated_at)
    SELECT 1, id, 'email', email, md5(email),
        CASE WHEN lot(id, 20) < 0.02 THEN 'invalid' ELSE 'active' END, true, created_at, updated_at
    FROM members WHERE email IS NOT NULL
    UNION ALL
    SELECT 1, id, 'sms', phone, md5(phone), 'active', true, created_at, updated_at
    FROM members WHERE phone IS NOT NULL
    """,
    """
    INSERT INTO member_tags (client_id, member_id, tag)
    SELECT 1, id, 'vip' FROM members WHERE lot(id, 21) < 0.05
    UNION ALL SELECT 1, id, 'newsletter' FROM members WHERE lot(id, 22) < 0.5
    """,
    """
    INSERT INTO consent_states (client_id, member_id, channel, topic, state, occurred_at)
    SELECT 1, member_id, channel, 'marketing',
        CASE WHEN lot(id, 23) < 0.95 THEN 'granted' ELSE 'withdrawn' END, created_at
    FROM addresses WHERE lot(id, 24) < 0.9
    """,
    """
    INSERT INTO suppressions (client_id, channel, address_hash, masked, scope, reason, since)
    SELECT 1, channel, hash, 'x', 'all', 'bounced', '2026-11-01Z' FROM addresses
    WHERE lot(id, 25) < 0.01
    """,
    """
    INSERT INTO events (id, client_id, member_id, name, message_id, properties, amount,
        occurred_at, received_at)
    SELECT n, 1, 1 + (power(lot(n, 30), 1.5) * (:members - 1))::bigint, name, 'e-' || n,
        CASE WHEN name = 'purchase' THEN jsonb_build_object('total', amount, 'category',
            (ARRAY['shoes','books','garden','toys'])[1 + (lot(n, 31) * 4)::int % 4])
            ELSE '{}' END,
        amount, at, at
    FROM (
        SELECT n,
            CASE WHEN lot(n, 32) < 0.6 THEN 'app_opened' WHEN lot(n, 32) < 0.85 THEN 'viewed'
                WHEN lot(n, 32) < 0.97 THEN 'purchase' ELSE 'opted_in' END AS name,
            CASE WHEN lot(n, 32) BETWEEN 0.85 AND 0.97
                THEN round((lot(n, 33) * 200)::numeric, 2) END AS amount,
            -- In the order in which they happen, as they come in; a day earlier or later.
            '2025-11-22 12:00Z'::timestamptz + interval '363 days' * (n / (10.0 * :members))
                + lot(n, 34) * interval '1 day' AS at
        FROM generate_series(1, 10 * :members) n
    ) made
    """,
    """
    INSERT INTO event_days (client_id, name, day, member_id, count, amount, first_at, last_at)
    SELECT client_id, name, (occurred_at AT TIME ZONE 'UTC')::date AS day, member_id, count(*),
        coalesce(sum(amount), 0), min(occurred_at), max(occurred_at)
    FROM events GROUP BY 1, 2, 3, 4 ORDER BY day
    """,
    """
    INSERT INTO event_totals (client_id, name, member_id, count, amount, first_at, last_at)
    SELECT client_id, name, member_id, sum(count), sum(amount), min(first_at), max(last_at)
    FROM event_days GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO runs (client_id, campaign_id, occurrence_key, status, audience, plan, audience_size,
        last_member_id, cursor, expanded, started_at, finished_at)
    SELECT 1, id, 'once', 'done', '{}', '{"message_type": "marketing", "priority": 2, "channels":
        {"email": {"template_version_id": 1, "provider_account_id": 1, "fields": []}}}',
        :members / 4, :members, :members,
        :members / 4, '2025-11-26 12:00Z', '2026-11-21 09:00Z'
    FROM campaigns ORDER BY id
    """,
    """
    INSERT INTO providers (client_id, name, adapter, channel, config, token, status, strikes,
        created_at, updated_at)
    VALUES (1, 'Mail', 'sendgrid', 'email', '', 'mail', 'paused', 0, now(), now()),
        (1, 'Texts', 'twilio', 'sms', '', 'texts', 'paused', 0, now(), now())
    """,
    # In the order in which they happen; one in ten is a text, one in 250 an answer.
    """
    INSERT INTO communications (client_id, member_id, campaign_id, run_id, channel, direction,
        message_type, to_address, address_hash, merge, content, status, rank, reason, token,
        priority, not_before, tries, crashes, open_attempts, resends, provider_account_id,
        provider_id, error_code, error_message, cost, currency, segments, sent_at, delivered_at,
        read_at, clicked_at, replied_at, failed_at, created_at, updated_at, machine_read)
    SELECT 1, member, CASE WHEN NOT answer THEN campaign END,
        CASE WHEN NOT answer THEN campaign END,
        CASE WHEN text THEN 'sms' ELSE 'email' END,
        CASE WHEN answer THEN 'inbound' ELSE 'outbound' END, 'marketing', address,
        CASE WHEN NOT answer AND status <> 'skipped' THEN md5(address || n) END, '{}',
        CASE WHEN answer THEN (ARRAY['yes please','no','when do you open?','STOP'])
            [1 + (lot(n, 45) * 4)::int % 4] END,
        status, 3, CASE status WHEN 'skipped' THEN (ARRAY['suppressed','no_consent','capped'])
            [1 + (lot(n, 46) * 3)::int % 3] WHEN 'failed' THEN 'rejected'
            WHEN 'unknown' THEN 'no_answer' END,
        1, 2, at, 1, 0, 0, 0, CASE WHEN status <> 'skipped' THEN 1 + text::int END,
        CASE WHEN sent THEN 'p-' || n END, CASE WHEN status = 'failed' THEN '550' END,
        CASE WHEN status = 'failed' THEN 'no such mailbox' END,
        CASE WHEN sent AND text THEN 0.0075 END, CASE WHEN sent AND text THEN 'USD' END,
        CASE WHEN sent AND text THEN 1 END, CASE WHEN sent THEN at + interval '1 second' END,
        CASE WHEN reached THEN at + interval '5 seconds' END,
        CASE WHEN status IN ('read', 'clicked') THEN at + interval '1 hour' END,
        CASE WHEN status = 'clicked' THEN at + interval '2 hours' END,
        CASE WHEN status = 'replied' THEN at + interval '3 hours' END,
        CASE WHEN status = 'failed' THEN at + interval '1 second' END, at, at,
        sent AND reached AND lot(n, 51) < 0.2
    FROM (
        SELECT *, status IN ('delivered', 'read', 'clicked', 'replied') AS reached,
            status NOT IN ('skipped', 'failed', 'unknown', 'queued') AND NOT answer AS sent,
            CASE WHEN text THEN '+1201' || lpad(member::text, 7, '0')
                ELSE 'person' || member || '@shop' || member % 50 || '.example' END AS address
        FROM (
            SELECT n, 1 + n % :members AS member, 1 + n / :members * 4 + n % 4 AS campaign,
                n % 10 = 7 AS text, lot(n, 42) < 0.004 AS answer,
                CASE WHEN lot(n, 42) < 0.004 THEN 'delivered'
                    WHEN n > 5 * :members - 2000 THEN 'queued'
                    WHEN lot(n, 40) < 0.05 THEN 'clicked' WHEN lot(n, 40) < 0.3 THEN 'read'
                    WHEN lot(n, 40) < 0.94 THEN 'delivered' WHEN lot(n, 40) < 0.95 THEN 'sent'
                    WHEN lot(n, 40) < 0.96 THEN 'bounced' WHEN lot(n, 40) < 0.97 THEN 'failed'
                    WHEN lot(n, 40) < 0.999 THEN 'skipped' WHEN lot(n, 40) < 0.9999 THEN 'replied'
                    ELSE 'unknown' END AS status,
                '2025-11-26 09:00Z'::timestamptz
                    + interval '360 days' * (n / (5.0 * :members)) AS at
            FROM generate_series(0, 5 * :members - 1) n
        ) drawn
    ) made
    """,
    # Receipts: everything delivered, what people opened and clicked, what machines opened.
    """
    INSERT INTO communication_events (client_id, communication_id, provider_account_id, source,
        dedup_key, type, machine, state, detail, occurred_at, received_at)
    SELECT 1, id, provider_account_id, 'sendgrid', '1:' || id || type || machine, type, machine,
        'applied', CASE WHEN type = 'clicked' THEN
            'https://shop.example/c' || campaign_id || '/p' || (lot(id, 50) * 30)::int END, at, at
    FROM (
        SELECT *, 'delivered' AS type, false AS machine, delivered_at AS at FROM communications
        WHERE sent_at IS NOT NULL AND delivered_at IS NOT NULL
        UNION ALL SELECT *, 'opened', false, read_at FROM communications WHERE read_at IS NOT NULL
        UNION ALL SELECT *, 'clicked', false, clicked_at FROM communications
        WHERE clicked_at IS NOT NULL
        UNION ALL SELECT *, 'opened', true, delivered_at FROM communications
        WHERE machine_read
        UNION ALL SELECT *, 'complained', false, delivered_at FROM communications
        WHERE sent_at IS NOT NULL AND delivered_at IS NOT NULL AND lot(id, 52) < 0.0005
    ) told ORDER BY at
    """,
    """
    INSERT INTO consents (client_id, member_id, channel, topic, state, source, proof, occurred_at,
        created_at)
    SELECT 1, member_id, channel, topic, 'granted', 'import:1', '{}'::jsonb, occurred_at,
        occurred_at
    FROM consent_states
    UNION ALL
    SELECT 1, member_id, channel, topic, 'withdrawn', 'unsubscribe', '{}',
        occurred_at + interval '30 days', occurred_at + interval '30 days'
    FROM consent_states WHERE state = 'withdrawn'
    """,
    """
    INSERT INTO orders (client_id, member_id, order_id, kind, amount, currency, occurred_at,
        communication_id, created_at)
    SELECT 1, member_id, 'o-' || id, 'order', amount, 'USD', occurred_at,
        CASE WHEN lot(id, 54) < 0.2 THEN 1 + (lot(id, 55) * (5 * :members - 1))::bigint END,
        occurred_at
    FROM events WHERE name = 'purchase'
    """,
    """
    INSERT INTO member_changes (client_id, member_id, source, actor, changed, changed_at)
    SELECT 1, 1 + (lot(n, 60) * (:members - 1))::bigint, 'import:1', 'cli',
        '{"tier": ["basic", "premium"]}', '2026-01-15Z'::timestamptz + n * interval '20 seconds'
    FROM generate_series(1, :members / 2) n
    """,
    """
    INSERT INTO member_notes (client_id, member_id, author, text, created_at)
    SELECT 1, 1 + (lot(n, 61) * (:members - 1))::bigint, 'user:1', 'asked for a larger size',
        '2026-01-15Z'::timestamptz + n * interval '2 minutes'
    FROM generate_series(1, :members / 10) n
    """,
    """
    INSERT INTO users (email, first_name, last_name, full_name, role, status, last_login,
        login_count, failed_login_attempts, email_verified, two_factor_enabled, created_at,
        updated_at)
    SELECT 'user' || n || '@office' || n % 500 || '.example', first, last, first || ' ' || last,
        'user', CASE WHEN lot(n, 72) < 0.9 THEN 'active' WHEN lot(n, 72) < 0.95 THEN 'pending'
            WHEN lot(n, 72) < 0.98 THEN 'inactive' ELSE 'suspended' END,
        CASE WHEN lot(n, 73) < 0.8
            THEN '2026-11-21 12:00Z'::timestamptz - lot(n, 74) * interval '300 days' END,
        (lot(n, 75) * 100)::int, 0, lot(n, 76) < 0.9, lot(n, 77) < 0.3,
        '2025-11-22Z'::timestamptz + n * interval '2 minutes',
        '2025-11-22Z'::timestamptz + n * interval '2 minutes'
    FROM (
        SELECT n,
            (ARRAY['Ana','Jonas','Mia','Léa','Zoë','Søren','Priya','Yuki','Omar','Kofi'])
                [1 + (lot(n, 70) * 10)::int % 10] AS first,
            (ARRAY['García','Müller','Novák','Okafor','Silva','Rossi','Haddad','Tanaka','Costa'])
                [1 + (lot(n, 71) * 9)::int % 9] || (lot(n, 78) * 5000)::int AS last
        FROM generate_series(1, :members / 5) n
    ) made
    """,
    """
    INSERT INTO client_roles (user_id, client_id, role, permissions, created_at)
    SELECT id, 1, CASE WHEN lot(id, 79) < 0.01 THEN 'admin' WHEN lot(id, 79) < 0.1 THEN 'manager'
        ELSE 'user' END, '[]', created_at
    FROM users
    """,
    """
    INSERT INTO audit_log (client_id, actor, action, target, detail, at, source, ip, seq, hash)
    SELECT 1, CASE WHEN lot(n, 80) < 0.3 THEN 'key:' || (1 + lot(n, 81) * 20)::int
            ELSE 'user:' || (1 + lot(n, 82) * (:members / 5 - 1))::int END,
        (ARRAY['read.member','read.members','member.update','campaign.update','user.update'])
            [1 + (lot(n, 83) * 5)::int % 5],
        'member:' || (1 + lot(n, 84) * (:members - 1))::bigint, '{}',
        '2025-11-22Z'::timestamptz + n * interval '360 days' / (2 * :members), 'api',
        '192.0.2.0/24', n, md5(n::text)
    FROM generate_series(1, 2 * :members) n
    """,
    """
    INSERT INTO audit_chains (id, seq, hash, kept_after, kept_after_hash)
    SELECT 1, max(seq), 'x', 0, 'x' FROM audit_log
    """,
)
