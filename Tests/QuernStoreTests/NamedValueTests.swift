// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Named values are the application's, in the store's order of commits (S2, S5).
@Suite struct NamedValueTests {
    let files = SimulatedFileSystem()

    static func setting(_ values: KeyValuePairs<String, [UInt8]?>) -> Transaction {
        var transaction = Transaction()
        for (name, value) in values { transaction.set(name, to: value) }
        return transaction
    }

    static func values(_ store: some StoreAnswers, _ prefix: String = "") -> [String] {
        store.values(withPrefix: prefix).map { "\($0.name)=\($0.value)" }
    }

    @Test("A transaction that is refused sets nothing; a crash, a checkpoint and a reader keep what was set")
    func survive() async throws {
        var store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        // Two spellings of a letter are two names.
        let names = ["b", "a/2", "a", "a/1", "\u{E9}", "e\u{301}", "a\u{0}"]
        for (index, name) in names.enumerated() {
            try await store.append(Self.setting([name: [UInt8(index)], "b": [9], "gone": [1]]))
        }
        try await store.append(Self.setting(["gone": nil, "never": nil, "empty": []]))
        var refused = Self.setting(["a": [7], "new": [7]])
        refused.end(.init(99, under: 0))
        #expect(await store.failure(of: refused)?.code == .rejected)

        let expected = [
            "a=[2]", "a\u{0}=[6]", "a/1=[3]", "a/2=[1]", "b=[9]", "empty=[]", "e\u{301}=[5]", "\u{E9}=[4]",
        ]
        #expect(Self.values(store).map { Array($0.utf8) } == expected.map { Array($0.utf8) })
        #expect(Self.values(store, "a/") == ["a/1=[3]", "a/2=[1]"])
        #expect(store.value(for: "a") == [2] && store.value(for: "empty") == [] && store.value(for: "gone") == nil)
        let reader = try await MemoReader.open(at: "/store", fileSystem: files)
        #expect(Self.values(reader) == Self.values(store) && reader.value(for: "a/1") == [3])
        try await store.append(Self.setting(["a/1": [8]]))
        #expect(try await reader.refresh())
        #expect(reader.value(for: "a/1") == [8])
        try await store.append(Self.setting(["a/1": [3]]))

        let shown = Self.values(store)
        let crashed = files.crash(keeping: .dropAll)
        for _ in 0..<2 {
            let reopened = try await MemoStore.labelled(at: "/store", fileSystem: crashed)
            #expect(Self.values(reopened) == shown)
            try await reopened.close()
        }
        try await store.close()
        store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(Self.values(store) == shown)
        try await store.close()
    }

    @Test("F5: names and values above their limits are refused")
    func limits() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let long = String(repeating: "n", count: Limits.nameBytes)
        let large = [UInt8](repeating: 1, count: Limits.namedValueBytes)
        for transaction in [
            Self.setting(["": [1]]), Self.setting([long + "n": [1]]), Self.setting(["a": large + [1]]),
            Self.setting([long + "n": nil]),
        ] {
            #expect(await store.failure(of: transaction)?.code == .tooLarge)
        }
        try await store.append(Self.setting([long: large]))
        #expect(store.value(for: long) == large)
        try await store.close()
    }

    @Test("F5: all names and values together keep to their bound, whatever comes in one batch")
    func bound() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let value = [UInt8](repeating: 0, count: Limits.namedValueBytes - 4)
        var transaction = Transaction()
        // Names of 4 bytes: one more would fill it.
        let count = Limits.namedValuesBytes / Limits.namedValueBytes
        for index in 1..<count { transaction.set("\(1000 + index)", to: value) }
        try await store.append(transaction)
        func setting(_ name: String, to bytes: Int?) -> Transaction {
            Self.setting([name: bytes.map { [UInt8](repeating: 0, count: $0) }])
        }
        let most = Limits.namedValueBytes - 4
        var exchange = setting("more", to: most)
        exchange.append(setting("1001", to: nil))
        let results = await store.appendTogether([
            setting("last", to: most + 1), setting("last", to: most), setting("more", to: 0),
            setting("last", to: most - 4), setting("more", to: 1), setting("more", to: 0), exchange,
            setting("1002", to: nil), setting("1002", to: most),
        ])
        #expect(
            results.map(\.code) == [.tooLarge, nil, .tooLarge, nil, .tooLarge, nil, nil, nil, nil])
        var swap = setting("1003", to: nil)
        swap.append(setting("swap", to: most))
        try await store.append(swap)
        #expect(store.committed.state.values.bytes == Limits.namedValuesBytes - 4)
        #expect(await store.failure(of: setting("x", to: 4))?.code == .tooLarge)
        try await store.append(setting("x", to: 3))
        #expect(store.committed.state.values.bytes == Limits.namedValuesBytes)
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(reopened.values(withPrefix: "").count == count + 1)
        try await reopened.close()
    }

    @Test("Named values are a sorted dictionary", arguments: 1...6 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var values = NamedValues()
        var expected: [String: [UInt8]] = [:]
        for round in 0..<2000 {
            let name = String(random.below(random.pick([10, 1000])), radix: 2)
            let value = random.chance(round < 1000 ? 1 : 3, in: 4) ? nil : random.bytes(random.below(5))
            let before = values
            values[name] = value
            expected[name] = value
            #expect(values[name] == value, "seed \(seed)")
            #expect(before.holds(sameAs: values) == (before[name] == value), "seed \(seed)")
            guard round % 100 == 0 else { continue }
            for prefix in ["", "1", "101", name] {
                let names = expected.keys.filter { $0.hasPrefix(prefix) }.sorted()
                let found = values.values(withPrefix: prefix)
                let isSame = found.map(\.name) == names && found.allSatisfy { expected[$0.name] == $0.value }
                #expect(isSame, "seed \(seed), round \(round), prefix \(prefix)")
            }
            #expect(values.bytes == expected.reduce(0) { $0 + $1.key.utf8.count + $1.value.count }, "seed \(seed)")
        }
    }
}
