"""The topics of the demo corpus, each with its nouns, adjectives and verbs."""

from __future__ import annotations

from ep.demo.words import words_of

# (nouns, adjectives, verbs) of each topic.
TOPICS = {
    name: (
        words_of(nouns),
        words_of(adjectives),
        tuple(verb.replace("_", " ") for verb in words_of(verbs)),
    )
    for name, nouns, adjectives, verbs in (
        (
            "space",
            """planet star moon comet asteroid galaxy orbit satellite crater nebula meteor
            eclipse gravity cosmos launch shuttle astronomer telescope solstice equinox aurora
            probe lander capsule module thruster horizon vacuum spectrum cluster supernova
            quasar pulsar astronaut observatory spacecraft constellation rover antenna parallax""",
            "distant vast cosmic orbital radiant lunar solar stellar celestial weightless",
            "orbits circles approaches illuminates eclipses",
        ),
        (
            "oceans",
            """wave tide current reef coral kelp plankton trench lagoon shore surf sail anchor
            captain voyage cargo deck mast hull rudder storm harbour buoy gull seal walrus
            squid jellyfish shrimp oyster clam mussel eel tuna salmon cod herring pebble
            driftwood foam estuary seaweed sandbar starfish urchin barnacle whirlpool iceberg
            periscope""",
            "deep tidal marine coastal salty choppy",
            "drifts_past sinks_below floats_above follows surrounds",
        ),
        (
            "medicine",
            """heart lung brain liver kidney bone muscle nerve stomach throat tongue tooth
            finger thumb elbow knee ankle shoulder wrist spine skull rib vein artery tissue
            cell hormone pulse fever cough rash scar vitamin diet bandage clinic patient
            vaccine tablet ointment symptom syringe stethoscope allergy antibody enzyme
            infection therapy ward ambulance eyelid retina tendon""",
            "healthy weak swollen tired strong numb contagious",
            "supports protects feeds heals strengthens",
        ),
        (
            "music",
            """melody rhythm harmony chord tempo verse chorus tune note scale pitch tone beat
            bass treble opera concert symphony orchestra choir soloist conductor composer
            sonata waltz march ballad jazz lyric cello trumpet trombone clarinet oboe harp
            organ banjo ukulele stage audience encore accordion bassoon cymbal duet fiddle gong
            harmonica hymn lullaby octave quartet rehearsal saxophone tambourine xylophone""",
            "lyrical melodic loud graceful harmonic acoustic",
            "follows accompanies inspires echoes introduces",
        ),
        (
            "sport",
            """football tennis hockey rugby golf baseball basketball volleyball fencing archery
            rowing cycling sprint marathon relay hurdle javelin referee coach captain team
            league trophy medal goal score penalty umpire pitch court arena champion athlete
            victory defeat match season tournament badminton decathlon discus dribble
            goalkeeper gymnast opponent playoff podium rival serve skater spectator stamina
            stadium striker surfer swimmer tackle volley""",
            "fierce athletic winning rapid fair competitive",
            "beats challenges defends chases trains",
        ),
        (
            "weather",
            """rain snow hail sleet fog mist frost thunder lightning breeze gale hurricane
            tornado drought flood rainbow cloud sunshine humidity temperature forecast season
            summer autumn winter spring monsoon blizzard puddle icicle dew heatwave climate
            barometer drizzle shower chill thaw avalanche cyclone downpour thermometer
            whirlwind anemometer snowflake sunrise sunset""",
            "humid freezing mild gusty damp overcast tropical",
            "brings follows replaces causes interrupts",
        ),
        (
            "history",
            """empire emperor dynasty treaty revolution rebellion throne kingdom colony
            republic senate tribe fortress siege conquest monarch pharaoh pyramid scroll
            parchment legend ruin relic ancestor century chariot gladiator catapult cavalry
            archer banner herald peasant noble duke baron alliance aqueduct archive artefact
            citadel coronation crusade decree fossil galleon heir invader manuscript monument
            moat obelisk pilgrim province regiment settler squire tapestry tomb viking""",
            "mighty forgotten sacred medieval feudal imperial legendary",
            "conquered ruled defended destroyed founded",
        ),
        (
            "trade",
            """price profit market loan debt tax budget invoice salary customer shopkeeper
            discount refund receipt cash credit stock share bond auction bargain export import
            warehouse supplier contract insurance interest account dividend investor broker
            currency dollar euro pound penny wage rent catalogue commission consumer deposit
            employer fee inventory ledger lease manager mortgage partner pension retailer
            revenue shipment surplus tariff vendor voucher""",
            "cheap costly valuable annual profitable commercial",
            "increases reduces covers supports lowers",
        ),
        (
            "plants",
            """root stem leaf petal bud seed pollen bark branch twig trunk moss fern vine ivy
            thorn cactus bamboo willow maple cedar birch elm ash spruce poplar orchid poppy
            jasmine lavender thistle clover nettle acorn cone blossom nectar sap mulch compost
            bulb canopy carnation chrysanthemum daffodil dandelion foliage fungus grove hazel
            hedge hibiscus holly lichen lotus magnolia marigold mistletoe pansy peony petunia
            primrose sapling seedling shrub sycamore tulip weed yew""",
            "leafy bitter fragrant evergreen tropical thorny",
            "shades feeds surrounds covers shelters",
        ),
        (
            "machines",
            """engine piston valve gear lever pulley crank axle turbine generator boiler
            furnace circuit wire switch fuse sensor motor belt chain bolt nut screw bearing
            spring lathe drill welder conveyor crane tractor bulldozer elevator compressor
            cable transformer dynamo brake carburettor clutch coil condenser cylinder excavator
            flywheel gasket gauge gearbox hydraulics ignition insulator nozzle pendulum
            propeller radiator relay rivet rotor shaft socket throttle washer winch""",
            "electric rusty powerful mechanical precise automatic",
            "drives turns powers cools regulates",
        ),
        (
            "school",
            """lesson homework essay exam grade pupil student professor lecture chalk
            blackboard textbook dictionary grammar spelling algebra geometry chemistry physics
            biology geography poetry novel chapter paragraph sentence vowel consonant alphabet
            library term diploma semester campus tutor quiz recess uniform backpack
            abbreviation adjective assignment bibliography conjunction debate encyclopedia
            equation footnote fraction glossary kindergarten laboratory noun phrase plural
            pronoun punctuation quotation scholarship seminar syllable thesis verb worksheet""",
            "difficult diligent academic weekly correct educational",
            "explains includes describes introduces summarises",
        ),
        (
            "travel",
            """ticket passport luggage suitcase hotel hostel tourist guide souvenir journey
            voyage itinerary airport runway platform carriage passenger ferry cruise highway
            motorway tram subway taxi bus scooter caravan camp trail summit border visa
            landmark cathedral fountain plaza balcony adventure arrival backpacker brochure
            cabin departure destination excursion expedition holiday hiker inn junction layover
            motel pilgrimage reservation resort roundabout safari sightseeing sleeper terminal
            timetable toll tourism traveller""",
            "foreign crowded scenic remote weary overseas",
            "leaves reaches crosses joins visits",
        ),
        (
            "geology",
            """rock mineral crystal quartz granite basalt limestone sandstone slate marble
            gravel clay silt lava magma volcano earthquake fault plateau ridge canyon cliff
            erosion sediment stratum cavern stalactite stalagmite geyser boulder ore copper tin
            zinc nickel cobalt sulphur graphite gypsum amethyst emerald opal ruby sapphire
            topaz turquoise jade amber delta dune fjord gorge isthmus peninsula""",
            "volcanic rocky molten crystalline brittle jagged",
            "erodes covers crushes supports cuts_through",
        ),
        (
            "buildings",
            """arch beam brick cement column concrete corridor dome facade foundation girder
            gutter lintel mortar pillar plaster plywood porch rafter scaffold skylight
            staircase tile timber turret veranda wallpaper architect blueprint bungalow chapel
            dormitory mansion mosque pagoda pavilion skyscraper synagogue villa banister
            fireplace threshold doorway parapet buttress terrace patio shed barracks""",
            "sturdy wooden modern marble gothic spacious",
            "supports joins replaces overlooks surrounds",
        ),
        (
            "cooking",
            """recipe oven stove grill saucepan skillet casserole colander spatula ladle whisk
            chef kitchen dough batter crust filling glaze icing marinade sauce seasoning broth
            buffet appetiser dessert banquet breakfast brunch dinner lunch supper picnic
            ingredient portion flavour aroma yeast gelatine cutlery crockery blender freezer
            fridge microwave pantry thermometer tablespoon teaspoon""",
            "spicy savoury crispy juicy sugary creamy",
            "flavours thickens sweetens covers accompanies",
        ),
        (
            "art",
            """canvas palette portrait landscape sketch sculpture mosaic mural fresco collage
            engraving etching watercolour pastel charcoal pigment varnish frame gallery
            exhibition masterpiece silhouette perspective texture contrast composition ceramic
            pottery glaze embroidery weaving calligraphy origami illustration cartoon animation
            studio curator collector critic stencil chisel crayon clay shade tint hue""",
            "abstract vivid realistic colourful modern decorative",
            "inspires resembles frames decorates imitates",
        ),
        (
            "law",
            """court judge jury lawyer attorney witness verdict sentence appeal clause statute
            constitution parliament senate minister election ballot candidate campaign citizen
            council debate democracy embassy ambassador governor legislation mayor petition
            policy president referendum regulation reform republic tribunal veto warrant oath
            testimony plaintiff defendant lawsuit licence patent copyright ordinance""",
            "legal civil federal public judicial constitutional",
            "forbids permits requires protects replaces",
        ),
        (
            "computing",
            """algorithm database server network browser keyboard monitor printer scanner
            processor memory software hardware laptop tablet router modem password username
            website download upload backup folder cursor icon menu window compiler debugger
            interface kernel library package protocol script terminal variable function syntax
            pixel spreadsheet firewall encryption bandwidth cache cookie domain email hyperlink
            inbox""",
            "digital fast secure wireless virtual portable",
            "stores loads sends displays updates",
        ),
        (
            "nature",
            """habitat predator prey herd flock swarm nest burrow den hive migration
            hibernation mammal reptile amphibian insect rodent species wildlife ecosystem
            rainforest savanna tundra prairie wetland marsh stream brook creek waterhole claw
            paw hoof mane tusk antler feather beak fin scale gill whisker tail cub calf foal
            lamb fawn cocoon caterpillar larva tadpole""",
            "wild hungry nocturnal endangered furry camouflaged",
            "hunts avoids protects follows shelters",
        ),
        (
            "family",
            """mother father sister brother daughter son aunt uncle cousin nephew niece
            grandmother grandfather grandson husband wife parent sibling twin baby toddler
            teenager adult neighbour guest wedding birthday anniversary celebration reunion
            present party invitation ceremony tradition memory childhood household marriage
            bride groom cradle nursery pram godfather stepmother""",
            "loving elderly cheerful distant caring generous",
            "visits helps hugs teaches invites",
        ),
        (
            "clothes",
            """shirt blouse skirt trousers jeans shorts dress suit jacket cardigan jumper
            hoodie raincoat overcoat tie bow collar cuff sleeve pocket hem seam lining lace
            silk cotton linen wool denim leather nylon polyester satin suede tweed mitten
            stocking slipper sneaker heel bonnet beret turban veil shawl cloak gown kimono
            pyjamas""",
            "woollen silky stylish baggy faded elegant",
            "matches covers replaces decorates fits",
        ),
        (
            "chemistry",
            """atom molecule electron proton neutron nucleus ion isotope acid base solution
            solvent catalyst reaction compound element mixture oxygen hydrogen nitrogen carbon
            helium neon sodium calcium potassium iodine chlorine polymer beaker flask burner
            pipette filter residue vapour crystal alloy bond formula experiment hypothesis
            measurement particle density""",
            "acidic stable soluble dense reactive transparent",
            "dissolves heats attracts absorbs neutralises",
        ),
    )
}
