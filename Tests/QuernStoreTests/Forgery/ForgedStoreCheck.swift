// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// What must hold of any store whatever, also of one that contradicts itself behind right checksums.
struct ForgedStoreCheck {
    /// Children of more parents are not looked at: a forged store may say that it has given out any number of ids.
    static let facts: UInt64 = 3000

    private let disk: SimulatedFileSystem
    private let directory = ForgedStore.directory

    /// What is wrong with how a store is opened, read, verified and repaired; nil when nothing is.
    static func complaint(_ disk: SimulatedFileSystem) -> String? {
        do { return try ForgedStoreCheck(disk: disk).complaint() } catch {
            return error is StoreError ? nil : "an error of another kind: \(error)"
        }
    }

    private static var configuration: MemoStore.Configuration {
        var configuration = MemoStore.Configuration()
        configuration.logReserveBytes = 0
        configuration.reserveBytes = 0
        configuration.vouchDelay = nil
        return configuration
    }

    private func complaint() throws -> String? {
        let verified = try? StoreVerifier.verify(at: directory, fileSystem: disk, options: .init(threads: 1))
        let isWhole = verified?.isDamaged == false
        let read = read()
        if isWhole, case .failure(let error) = read { return "it is whole, and a reader says \(error)" }
        if let complaint = try repair(isWhole: isWhole, read) { return complaint }
        return write(isWhole: isWhole, read)
    }

    /// What a reader finds; nil when that is too much.
    private func read() -> Result<StoreFacts?, StoreError> {
        do throws(StoreError) {
            let reader = try MemoReader.openBlocking(at: directory, fileSystem: disk)
            return .success(try facts(reader))
        } catch { return .failure(error) }
    }

    private func facts(_ store: some StoreAnswers) throws(StoreError) -> StoreFacts? {
        if store.committed.state.nextID <= Self.facts { return try StoreFacts(store) }
        for id in 0..<64 as Range<UInt64> { _ = try StoreFacts.children(of: TaskID(id), in: store) }
        return nil
    }

    /// A store that was repaired is whole, and one that was whole holds the same afterwards.
    private func repair(isWhole: Bool, _ read: Result<StoreFacts?, StoreError>) throws -> String? {
        let copy = disk.crash(keeping: .keepAll)
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: directory, fileSystem: copy), for: .salvage)
        do {
            try StoreBuilder.build(at: "/new", fileSystem: copy, configuration: Self.configuration) {
                try contents.tell(&$0)
            }
        } catch let error as StoreError {
            return isWhole ? "it is whole, and cannot be repaired: \(error)" : nil
        }
        let verified = try StoreVerifier.verify(at: "/new", fileSystem: copy, options: .init(threads: 1))
        if verified.isDamaged { return "what was repaired is damaged: \(verified.findings)" }
        do throws(StoreError) {
            let reader = try MemoReader.openBlocking(at: "/new", fileSystem: copy)
            _ = try facts(reader)
            let store = try MemoStore.openBlocking(
                at: "/new", configuration: Self.configuration, fileSystem: copy)
            try store.closeBlocking()
        } catch { return "what was repaired cannot be read: \(error)" }
        return nil
    }

    /// A store that can be opened and written to can be opened again, and holds the same.
    private func write(isWhole: Bool, _ read: Result<StoreFacts?, StoreError>) -> String? {
        let copy = disk.crash(keeping: .keepAll)
        let first: StoreFacts?
        do throws(StoreError) {
            let store = try MemoStore.openBlocking(
                at: directory, configuration: Self.configuration, fileSystem: copy)
            let found = Result { () throws(StoreError) in try facts(store) }
            let closed = Result { () throws(StoreError) in
                try store.appendBlocking(Transaction())
                try store.closeBlocking()
            }
            if store.recovery.created { return nil }
            guard case .success(let facts) = found, case .success = closed else {
                return isWhole ? "it is whole, and a writer says \(found), \(closed)" : nil
            }
            first = facts
        } catch { return isWhole ? "it is whole, and cannot be opened: \(error)" : nil }
        if case .success(let facts?) = read, let first, facts != first {
            // A writer drops what was staged and never committed, which nobody sees.
            return "a reader and a writer disagree: \(first.difference(from: facts))"
        }
        do throws(StoreError) {
            let again = try MemoStore.openBlocking(
                at: directory, configuration: Self.configuration, fileSystem: copy)
            let found = try facts(again)
            try again.closeBlocking()
            if let found, let first, found != first {
                return "opened again it differs: \(found.difference(from: first))"
            }
        } catch { return "it was opened once, and not again: \(error)" }
        return nil
    }
}
