// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Everything that a file of a store says, frame by frame and record by record, whatever is damaged. A single file that
/// lies elsewhere will do.
package struct FileDump {
    package struct Options: Sendable {
        /// Bytes of the application are left out: payloads, memos, errors, values and their names, keys, attributes,
        /// and bytes that may hold such.
        package var redacts = false
        /// Frames that begin before are left out.
        package var start = 0

        package init(redacts: Bool = false, start: Int = 0) {
            self.redacts = redacts
            self.start = start
        }
    }

    /// Bytes of a damaged place that are shown.
    private static let shownBytes = 64

    private let file: RawFile
    private let kind: RawFile.Kind?
    private let options: Options
    private var walk: FrameWalk
    private var hasHeader = false

    /// - Throws: ``StoreError/Code/inputOutput`` or ``StoreError/Code/notFound``: damage is no error.
    package init(
        of path: FilePath, options: Options = Options(), fileSystem: any FileSystem = PosixFileSystem()
    ) throws(StoreError) {
        self.options = options
        let directory = path.removingLastComponent()
        let place: FilePath = directory.isEmpty ? "." : directory
        do throws(FileError) {
            file = try RawFile(path.lastComponent?.string ?? "", in: place, fileSystem)
        } catch { throw StoreError("cannot read the file", error) }
        let head: [UInt8]
        do throws(FileError) { head = try file.read(0..<FileHeader.size) } catch {
            throw StoreError("cannot read the file", error)
        }
        let header = try? file.header.get()
        kind = header.map { RawFile.Kind($0.kind) } ?? file.kind
        let segment = header.map { UInt32(truncatingIfNeeded: $0.number) } ?? file.segment(nil)
        // A damaged header may still hold the identity; else its neighbours in the directory do.
        var seeds = [header?.identity.seed].compactMap(\.self)
        if header == nil {
            if head.count >= 40 { seeds.append(head[24..<40].withUnsafeBytes { Checksum.crc32c($0) }) }
            if let store = try? RawStore(at: place, fileSystem: fileSystem) { seeds.append(store.identity.seed) }
        }
        walk = FrameWalk(file, segment: segment, seed: seeds.first ?? 0)
        for seed in seeds.dropFirst() {
            var ahead = walk
            while let step = try? ahead.step() { if case .frame = step { return } }
            walk = FrameWalk(file, segment: segment, seed: seed)
        }
    }

    /// Gives the next frame, or the file header, or bytes that are neither, with all that is in it. Returns false at
    /// the end.
    ///
    /// - Throws: ``StoreError/Code/inputOutput``.
    package mutating func next(_ emit: (DumpItem) -> Void) throws(StoreError) -> Bool {
        if !hasHeader {
            hasHeader = true
            do throws(FileError) { emit(try header()) } catch { throw StoreError("cannot read the file", error) }
            return true
        }
        let item: FrameWalk.Item?
        do throws(FileError) { item = try walk.next() } catch { throw StoreError("cannot read the file", error) }
        switch item {
        case nil: return false
        case .gap(let gap) where gap.range.upperBound > options.start: try emit(self.item(gap))
        case .frame(let frame) where frame.offset >= options.start: self.emit(frame, emit)
        default: break
        }
        return true
    }

    // MARK: Header and gaps

    private func header() throws(FileError) -> DumpItem {
        let bytes = try file.read(0..<FileHeader.size)
        var item = DumpItem(kind: .fileHeader, name: "unknown", offset: 0)
        do throws(FileHeader.Failure) { _ = try file.header.get() } catch { item.problem = error.reason }
        guard bytes.count == FileHeader.size else {
            item.fields.append(DumpField("bytes", .bytes(bytes)))
            return item
        }
        func load<Integer: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Integer.Type) -> Integer {
            bytes.withUnsafeBytes { Integer(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Integer.self)) }
        }
        if let kind = FileHeader.Kind(rawValue: bytes[8]) { item.name = RawFile.Kind(kind).rawValue }
        item.fields = [
            DumpField("kind", bytes[8]), DumpField("version", bytes[9]), DumpField("number", load(16, UInt64.self)),
            DumpField("identity", .bytes(Array(bytes[24..<40]))), DumpField("epoch", load(40, UInt64.self)),
            DumpField("previous_length", load(48, UInt64.self)),
            DumpField("previous_checksum", .checksum(load(56, UInt32.self))),
            DumpField("compatible_features", .bits(UInt64(load(60, UInt32.self)))),
            DumpField("read_only_features", .bits(UInt64(load(64, UInt32.self)))),
            DumpField("incompatible_features", .bits(UInt64(load(68, UInt32.self)))),
            DumpField("checksum", .checksum(load(124, UInt32.self))),
        ]
        return item
    }

    private func item(_ gap: FrameWalk.Gap) throws(StoreError) -> DumpItem {
        var item = DumpItem(kind: .gap, name: gap.isZeros ? "zeros" : "bytes", offset: gap.range.lowerBound)
        item.fields.append(DumpField("length", UInt(gap.range.count)))
        // Zeros are what is written ahead of a log.
        if gap.isZeros, kind == .log, gap.range.upperBound >= file.size { return item }
        item.problem = gap.reason
        if gap.isZeros { return item }
        let shown = gap.range.lowerBound..<min(gap.range.upperBound, gap.range.lowerBound + Self.shownBytes)
        do throws(FileError) { item.fields.append(content("begins_with", try file.read(shown))) } catch {
            throw StoreError("cannot read the file", error)
        }
        return item
    }

    private func content(_ name: String, _ bytes: [UInt8]) -> DumpField {
        DumpField(name, options.redacts ? .redacted(bytes.count) : .bytes(bytes))
    }

    // MARK: Frames

    private func emit(_ frame: RawFrame, _ emit: (DumpItem) -> Void) {
        let header = frame.header
        var item = DumpItem(kind: .frame, name: header.kind.name, offset: frame.offset)
        item.fields = [
            DumpField("codec", .text(header.codec == .raw ? "raw" : "lz4")),
            DumpField("stored_length", UInt(header.storedLength)), DumpField("decoded_length", UInt(header.rawLength)),
        ]
        switch header.kind {
        case .commit where kind == .log, .part:
            item.fields += [
                DumpField("next_sequence", header.firstSequence), DumpField("next_id", header.firstID),
                DumpField("durable_up_to", header.durableUpTo),
            ]
        case .block:
            item.fields += [DumpField("first_sequence", header.firstSequence), DumpField("parent", header.firstID)]
        default: break
        }
        item.fields += [
            DumpField("previous_checksum", .checksum(header.previousChecksum)),
            DumpField("body_checksum", .checksum(header.bodyChecksum)),
            DumpField("header_checksum", .checksum(header.checksum)),
        ]
        do throws(DecodingFailure) {
            let body = try frame.body()
            emit(item)
            body.withUnsafeBytes { self.emit($0, of: header, emit) }
        } catch {
            item.problem = error.reason
            item.fields.append(content("begins_with", Array(frame.stored.prefix(Self.shownBytes))))
            emit(item)
        }
    }

    private func emit(_ body: UnsafeRawBufferPointer, of header: FrameHeader, _ emit: (DumpItem) -> Void) {
        let records = RecordDump(redacts: options.redacts)
        switch header.kind {
        case .commit, .part, .state:
            records.emit(body, ofCheckpoint: header.kind == .state || kind == .checkpoint || kind == .mirror, emit)
        case .block, .sharedBlocks: records.emitBlocks(body, emit)
        case .directory: records.emitEntries(body, emit)
        case .manifest: records.emitManifest(body, emit)
        }
    }
}

extension FrameHeader.Kind {
    /// As FORMAT.md has it.
    var name: String {
        switch self {
        case .commit: "commit"
        case .part: "part"
        case .block: "block"
        case .directory: "directory"
        case .state: "state"
        case .manifest: "manifest"
        case .sharedBlocks: "shared_blocks"
        }
    }
}
