use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Put { made_by: Option<u8>, payload: u32 },
    Compute { made_by: u8, payload: u32 },
    Find { made_by: u8 },
    Get { nth: usize },
    Delete { nth: usize },
    Damage { payload: u32, how: Damage },
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let damage = prop_oneof![Just(Damage::Remove), Just(Damage::Flip), Just(Damage::Cut)];
    let op = prop_oneof![
        3 => (prop::option::of(0..4_u8), 0..4_u32).prop_map(|(made_by, payload)| Op::Put { made_by, payload }),
        3 => (0..4_u8, 0..4_u32).prop_map(|(made_by, payload)| Op::Compute { made_by, payload }),
        2 => (0..4_u8).prop_map(|made_by| Op::Find { made_by }),
        2 => (0..6_usize).prop_map(|nth| Op::Get { nth }),
        2 => (0..6_usize).prop_map(|nth| Op::Delete { nth }),
        2 => (0..4_u32, damage).prop_map(|(payload, how)| Op::Damage { payload, how }),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 0..60)
}

/// What a store of correct behaviour holds: the records in order of creation, and the payloads that are lost.
#[derive(Default)]
struct Model {
    records: Vec<(Id, Option<u8>, u32)>,
    lost: BTreeSet<u32>,
}

impl Model {
    fn position(&self, made_by: u8) -> Option<usize> {
        self.records.iter().position(|record| record.1 == Some(made_by))
    }

    fn hit(&self, made_by: u8) -> Option<(Id, u32)> {
        let (id, _, payload) = self.records[self.position(made_by)?];
        (!self.lost.contains(&payload)).then_some((id, payload))
    }

    /// Takes a payload that the store had to write; the record that has to have it, if there is one already.
    fn write(&mut self, made_by: Option<u8>, payload: u32) -> Option<Id> {
        self.lost.remove(&payload);
        let position = self.position(made_by?)?;
        let record = &mut self.records[position];
        record.2 = payload;
        Some(record.0)
    }

    fn add(&mut self, id: Id, made_by: Option<u8>, payload: u32) {
        assert!(self.records.iter().all(|record| record.0 < id));
        self.records.push((id, made_by, payload));
    }

    fn apply(&mut self, bench: &mut Bench, op: &Op) {
        match *op {
            Op::Put { made_by, payload: n } => {
                let id = bench.store.put(payload(n), made_by.map(provenance));
                match made_by.and_then(|made_by| self.hit(made_by)) {
                    None => match self.write(made_by, n) {
                        Some(replaced) => assert_eq!(id.unwrap(), replaced),
                        None => self.add(id.unwrap(), made_by, n),
                    },
                    Some((expected, kept)) if kept == n => assert_eq!(id.unwrap(), expected),
                    Some(_) => {
                        assert_eq!(id.unwrap_err().kind(), ErrorKind::NonDeterministic);
                        // It was written before that was found out.
                        self.lost.remove(&n);
                    }
                }
            }
            Op::Compute { made_by, payload: n } => self.compute(bench, made_by, n),
            Op::Find { made_by } => {
                assert_eq!(
                    bench.store.find(&provenance(made_by)).unwrap(),
                    self.hit(made_by).map(|(id, _)| id)
                );
            }
            Op::Get { nth } => self.get(bench, nth),
            Op::Delete { nth } => {
                let id = self.records.get(nth).map_or_else(Id::next, |record| record.0);
                assert_eq!(bench.store.delete(id).unwrap(), nth < self.records.len());
                self.records.retain(|record| record.0 != id);
            }
            Op::Damage { payload: n, how } => {
                bench.damage(&payload(n), how);
                self.lost.insert(n);
            }
            Op::Reopen => bench.reopen(),
        }
    }

    fn compute(&mut self, bench: &Bench, made_by: u8, n: u32) {
        let outcome = bench.store.get_or_compute(&provenance(made_by), || Ok(payload(n))).unwrap();
        if let Some((id, kept)) = self.hit(made_by) {
            assert_eq!(outcome, Outcome { id, payload: payload(kept), computed: false });
            return;
        }
        assert_eq!((outcome.payload, outcome.computed), (payload(n), true));
        match self.write(Some(made_by), n) {
            Some(replaced) => assert_eq!(outcome.id, replaced),
            None => self.add(outcome.id, Some(made_by), n),
        }
    }

    fn get(&self, bench: &Bench, nth: usize) {
        let Some((id, made_by, n)) = self.records.get(nth).copied() else {
            return assert_eq!(bench.store.get(Id::next()).unwrap(), None);
        };
        match bench.store.get(id) {
            Ok(found) => {
                let found = found.unwrap();
                assert!(!self.lost.contains(&n));
                assert_eq!(
                    (found.payload, found.provenance),
                    (payload(n), made_by.map(provenance))
                );
            }
            Err(error) => {
                assert_eq!((error.kind(), self.lost.contains(&n)), (ErrorKind::Corrupt, true))
            }
        }
    }

    fn check(&self, bench: &Bench) {
        let listed = bench.store.list().map(|record| record.unwrap());
        let listed: Vec<_> =
            listed.map(|record| (record.id, record.provenance, record.payload)).collect();
        let expected = self
            .records
            .iter()
            .map(|(id, by, n)| (*id, by.map(provenance), Digest::of(&payload(*n))));
        assert_eq!(listed, expected.collect::<Vec<_>>());
        let lost = self.records.iter().filter(|record| self.lost.contains(&record.2)).count();
        assert_eq!(bench.store.verify().unwrap().problems.len(), lost);
        let used: BTreeSet<_> = self.records.iter().map(|record| record.2).collect();
        let status = bench.store.status().unwrap();
        assert_eq!(
            (status.records, status.payloads),
            (self.records.len() as u64, used.len() as u64)
        );
        assert_eq!(status.payload_bytes, 9 * status.payloads);
    }
}

fn provenance(made_by: u8) -> Provenance {
    Provenance::new("op").input(Digest::from([made_by; 32]))
}

fn run(mut bench: Bench, ops: &[Op]) {
    let mut model = Model::default();
    for op in ops {
        model.apply(&mut bench, op);
    }
    model.check(&bench);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn in_memory(ops in ops()) {
        run(Bench::in_memory(), &ops);
    }

    #[test]
    fn durable(ops in ops()) {
        run(Bench::durable(), &ops);
    }
}
